"""Where an architecture's accuracy comes from: today, a table of published trainings."""

__all__ = ["Accuracy", "AccuracySource", "PublishedTable", "accuracy_source", "accuracy_source_names"]

import csv
import gzip
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from io import StringIO
from typing import Protocol

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names

_MACRO = "table:nas-bench-macro"
_SINGLE = ":single"
_MACRO_FILE = "nas_bench_macro_cifar10.csv.gz"
_MACRO_PX = 32
_MACRO_TRAINING = "50 epochs on CIFAR-10, test set, NAS-Bench-Macro"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An accuracy and what it is worth.

    Attributes:
        value_percent: Top-1.
        std_percent: Standard deviation of the value as an estimate of the mean over many trainings.
        fidelity: What was trained and tested, in words; reports say it next to the figure.
        source: Name of the source.
    """

    value_percent: float
    std_percent: float
    fidelity: str
    source: str


class AccuracySource(Protocol):
    """Gives accuracies, at one fidelity."""

    @property
    def name(self) -> str: ...

    @property
    def noisy(self) -> bool:
        """Whether another draw may give another accuracy (``Problem.accuracy_noise``)."""
        ...

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        """The accuracy of a canonical architecture.

        Args:
            draw: Number of the training, for instance the trial's; the same draw gives the same accuracy.

        Raises:
            NotFoundError: The source does not know the architecture.
        """
        ...


class PublishedTable:
    """Published trainings, several of each architecture: their mean, or one of them at a time.

    Args:
        trainings: Top-1 in percent of each training, by architecture key; as many for each architecture.
        single: Give one training, chosen by a hash of (seed, key, draw), instead of the mean of all.
    """

    def __init__(
        self,
        name: str,
        trainings: Mapping[str, tuple[float, ...]],
        *,
        single: bool,
        described: str,
        seed: int = 0,
    ) -> None:
        self._name = name
        self._trainings = trainings
        self._single = single
        self._seed = seed
        count = len(next(iter(trainings.values())))
        self._fidelity = f"{'one' if single else 'mean'} of {count} trainings, {described}"
        spread = _pooled_std(trainings.values())
        self._std_percent = spread if single else spread / math.sqrt(count)

    @property
    def name(self) -> str:
        return self._name

    @property
    def noisy(self) -> bool:
        return self._single

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        """See ``AccuracySource``; the deviation is pooled over the table, as three trainings say little."""
        trainings = self._trainings.get(architecture.key)
        if trainings is None:
            raise NotFoundError(
                f"no accuracy of '{architecture.key}' in {self._name}, which has {len(self._trainings)} "
                "architectures; search the space and resolution the table was made for"
            )
        if self._single:
            text = f"{self._seed}/{architecture.key}/{draw}"
            pick = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % len(trainings)
            value = trainings[pick]
        else:
            value = math.fsum(trainings) / len(trainings)
        return Accuracy(value, self._std_percent, self._fidelity, self._name)


def accuracy_source_names() -> tuple[str, ...]:
    """Every text that ``accuracy_source`` understands."""
    return (_MACRO, _MACRO + _SINGLE)


def accuracy_source(text: str, *, seed: int = 0) -> AccuracySource:
    """Makes the source a user named.

    Args:
        text: ``table:nas-bench-macro`` (mean of the three published trainings; deterministic) or
            ``table:nas-bench-macro:single`` (one of the three; noisy).
        seed: Decides, with architecture and draw, which training a noisy source gives.

    Raises:
        NotFoundError: No source of that name; the message names the near ones.
        InvalidArgumentError: Empty text.
    """
    if not text:
        raise InvalidArgumentError(f"no accuracy source given; {near_names(_MACRO, accuracy_source_names())}")
    if text not in accuracy_source_names():
        raise NotFoundError(f"no accuracy source '{text}'; {near_names(text, accuracy_source_names())}")
    single = text.endswith(_SINGLE)
    return PublishedTable(text, _read_macro(), single=single, described=_MACRO_TRAINING, seed=seed)


def _read_macro() -> dict[str, tuple[float, ...]]:
    packed = files("fleetnas_training.published").joinpath(_MACRO_FILE).read_bytes()
    rows = csv.DictReader(StringIO(gzip.decompress(packed).decode("ascii")))
    return {_macro_key(row["arch"]): tuple(float(row[f"acc{k}"]) for k in (1, 2, 3)) for row in rows}


def _macro_key(digits: str) -> str:
    return Architecture("nas-bench-macro", tuple(map(int, digits)), _MACRO_PX).key


def _pooled_std(groups: Iterable[tuple[float, ...]]) -> float:
    squares, freedom = 0.0, 0
    for group in groups:
        mean = math.fsum(group) / len(group)
        squares += math.fsum((value - mean) ** 2 for value in group)
        freedom += len(group) - 1
    return math.sqrt(squares / freedom)
