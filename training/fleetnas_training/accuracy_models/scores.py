"""Scores of many networks, each computed once."""

__all__ = ["ScoreCache", "ZeroCostScores", "score_names"]

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.sqlite_files import store_errors
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names
from fleetnas_training.accuracy_models.score_batch import ScoreBatch, score_batch

_NAMES = ("synflow", "jacob_cov", "grad_norm")
_PATIENCE_S = 10.0
_SCHEMA = """
create table if not exists scores (
    network text, score text, batch text, value real, primary key (network, score, batch)
)
"""


def score_names(text: str) -> tuple[str, ...]:
    """Reads ``"synflow,grad_norm"``; NotFoundError for a score that is none."""
    names = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for name in names:
        if name not in _NAMES:
            raise NotFoundError(f"no score '{name}': {near_names(name, _NAMES)}")
    return names


class ScoreCache:
    """Scores in SQLite, by network, score and digest of the batch; each in a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, network: str, score: str, batch: str) -> float | None:
        if not self._path.is_file():
            return None
        with store_errors(f"'{self._path}'"), closing(self._open()) as db, db:
            row = db.execute(
                "select value from scores where network = ? and score = ? and batch = ?",
                (network, score, batch),
            ).fetchone()
        return None if row is None else float(row[0])

    def put(self, network: str, score: str, batch: str, value: float) -> None:
        with store_errors(f"'{self._path}'"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as db, db:
                db.execute(
                    "insert or replace into scores values (?, ?, ?, ?)", (network, score, batch, value)
                )

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_PATIENCE_S)
        try:
            db.execute(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db


class ZeroCostScores:
    """See ``inputs.Scores``.

    Args:
        known: By architecture, the values that a stored model learned from, in the order of ``names``.

    Raises:
        FailedPreconditionError: On first use, when torch is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        names: tuple[str, ...],
        batch: ScoreBatch,
        cache: ScoreCache | None = None,
        known: Mapping[Architecture, Sequence[float]] | None = None,
    ) -> None:
        self.names = names
        self.batch = batch
        self._space = space
        self._cache = cache
        self._known = dict(known or {})

    def values(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Of canonical architectures."""
        for one in architectures:
            if one not in self._known:
                self._known[one] = [self._value(one, name) for name in self.names]
        return np.array([self._known[one] for one in architectures], dtype=np.float64)

    def only(self, names: tuple[str, ...]) -> "ZeroCostScores":
        """See ``inputs.Scores``."""
        places = [self.names.index(one) for one in names]
        known = {one: [values[place] for place in places] for one, values in self._known.items()}
        return ZeroCostScores(self._space, names, self.batch, self._cache, known)

    def to_json(self, architectures: Iterable[Architecture]) -> dict[str, Any]:
        """With the values of the architectures that were learned from, so that none is computed again."""
        values = {self._space.format(one): list(self._known[one]) for one in architectures}
        batch = {"digest": self.batch.digest, "described": self.batch.described}
        return {"names": list(self.names), "batch": batch, "values": values}

    @staticmethod
    def from_json(
        space: SearchSpace, content: Mapping[str, Any], cache: ScoreCache | None = None
    ) -> "ZeroCostScores":
        """Inverse of ``to_json``; FailedPreconditionError when the batch is not to be had here."""
        batch = score_batch(space.reference.resolution_px)
        if batch.digest != content["batch"]["digest"]:
            raise FailedPreconditionError(
                f"the model's scores were computed on {content['batch']['described']}, here are {batch.described}: "
                "set FLEETNAS_DATA as it was, or fit again."
            )
        known = {space.canonical(space.parse(text)): values for text, values in content["values"].items()}
        return ZeroCostScores(space, score_names(",".join(content["names"])), batch, cache, known)

    def _value(self, architecture: Architecture, name: str) -> float:
        place = (architecture.key, name, self.batch.digest)
        value = self._cache.get(*place) if self._cache else None
        if value is None:
            value = self._computed(architecture, name)
            if self._cache:
                self._cache.put(*place, value)
        return value

    def _computed(self, architecture: Architecture, name: str) -> float:
        try:
            import torch

            from fleetnas_training.accuracy_models.zero_cost import score
        except ImportError as error:
            raise FailedPreconditionError(
                "scores need torch, which is not installed: pip install 'fleetnas[train]'."
            ) from error
        images, labels = torch.from_numpy(self.batch.images), torch.from_numpy(self.batch.labels)
        return score(self._space.graph(architecture), name, images, labels)
