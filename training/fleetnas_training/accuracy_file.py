"""A fitted accuracy model as one JSON file: its data, its settings, no code."""

__all__ = ["AccuracyFile", "read_accuracy_file", "write_accuracy_file"]

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_search_spaces.sealed_json import seal, unseal
from fleetnas_training.accuracy_model import AccuracyModel, restore_accuracy_model
from fleetnas_training.accuracy_models.scores import ScoreCache, ZeroCostScores
from fleetnas_training.trainings import Training, Trainings

_FORMAT = "fleetnas-accuracy-model"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class AccuracyFile:
    """What a file holds.

    Attributes:
        source: Where the trainings came from, in words.
        candidates: The table of all models that competed, the chosen one first.
    """

    model: AccuracyModel
    source: str
    candidates: Sequence[Mapping[str, Any]]

    @property
    def trainings(self) -> Trainings:
        return self.model.trainings


def write_accuracy_file(file: AccuracyFile) -> bytes:
    """The same model gives the same bytes."""
    trainings = file.trainings
    content = {
        "space": trainings.space.name,
        "resolution_px": trainings.space.reference.resolution_px,
        "source": file.source,
        "levels": list(trainings.levels),
        "proxies": sorted(trainings.proxies),
        "trainings": [
            [trainings.space.format(one.architecture), one.value, one.level] for one in trainings.rows
        ],
        "model": file.model.to_json(),
        "scores": _scores(file.model),
        "candidates": [dict(one) for one in file.candidates],
    }
    return (json.dumps(seal(_FORMAT, _VERSION, content), indent=1, allow_nan=False) + "\n").encode()


def read_accuracy_file(raw: bytes, cache: ScoreCache | None = None) -> AccuracyFile:
    """Inverse of ``write_accuracy_file``: predictions are the same to the last bit, on the same versions.

    Raises:
        InvalidArgumentError: It is no such file.
        DataLossError: It is of a newer version, was cut or was changed.
        FailedPreconditionError: A package that its model needs is not installed, or its space is another one here.
    """
    content = unseal(
        raw, _FORMAT, _VERSION, noun="accuracy model", cure="make one with 'fleetnas accuracy fit'"
    )
    try:
        space = space_of(content["space"])
        if content["resolution_px"] != space.reference.resolution_px:
            raise FailedPreconditionError(
                f"the model was fitted at {content['resolution_px']} px, space '{space.name}' has "
                f"{space.reference.resolution_px} px here: fit it again."
            )
        rows = tuple(
            Training(space.canonical(space.parse(text)), float(value), str(level))
            for text, value, level in content["trainings"]
        )
        trainings = Trainings(space, rows, tuple(content["levels"]), frozenset(content["proxies"]))
        stored = content["scores"]
        scores = ZeroCostScores.from_json(space, stored, cache) if stored else None
        model = restore_accuracy_model(trainings, content["model"], scores)
        return AccuracyFile(model, content["source"], tuple(content["candidates"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise DataLossError(
            f"the accuracy model does not fit this FleetNAS ({text}): fit it again."
        ) from error


def _scores(model: AccuracyModel) -> dict[str, Any] | None:
    if not isinstance(model.scores, ZeroCostScores):
        return None
    return model.scores.to_json(dict.fromkeys(one.architecture for one in model.trainings.rows))
