"""The accuracy sources by name: tables of published trainings, and a user's own training program."""

__all__ = ["PublishedTable", "accuracy_source", "accuracy_source_names"]

import csv
import gzip
import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib.resources import files
from io import StringIO

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names
from fleetnas_training.accuracy import Accuracy, AccuracySource
from fleetnas_training.curve_table import NAS_BENCH_201, read_nas_bench_201
from fleetnas_training.training_command import TRAINING, TrainingCommand

_MACRO = "table:nas-bench-macro"
_SINGLE = ":single"
_MACRO_FILE = "nas_bench_macro_cifar10.csv.gz"
_MACRO_PX = 32
_MACRO_TRAINING = "50 epochs on CIFAR-10, test set, NAS-Bench-Macro"


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
                "architectures: search the space it was made for, or give another --accuracy: "
                f"{', '.join(accuracy_source_names())}."
            )
        if self._single:
            text = f"{self._seed}/{architecture.key}/{draw}"
            pick = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % len(trainings)
            value = trainings[pick]
        else:
            value = math.fsum(trainings) / len(trainings)
        return Accuracy(value, self._std_percent, self._fidelity, self._name)


def accuracy_source_names() -> tuple[str, ...]:
    """The tables that ``accuracy_source`` knows."""
    return (_MACRO, _MACRO + _SINGLE, NAS_BENCH_201)


def accuracy_source(text: str, *, seed: int = 0) -> AccuracySource:
    """Makes the source a user named.

    Args:
        text: ``table:nas-bench-macro`` (mean of the three published trainings; deterministic) or
            ``table:nas-bench-macro:single`` (one of the three; noisy), ``table:nas-bench-201`` (after 12 and 200
            epochs; deterministic), ``training:COMMAND`` (see ``TrainingCommand``).
        seed: Decides, with architecture and draw, which training a noisy source gives.

    Raises:
        NotFoundError: No source of that name; the message names the near ones.
        InvalidArgumentError: Empty text, or no command.
        FailedPreconditionError: A table that does not come with the package is not there.
    """
    if not text:
        raise InvalidArgumentError(f"no accuracy source given; {near_names(_MACRO, accuracy_source_names())}")
    if text.startswith(TRAINING):
        return TrainingCommand(text)
    if text not in accuracy_source_names():
        known = (*accuracy_source_names(), f"{TRAINING}COMMAND")
        raise NotFoundError(f"no accuracy source '{text}'; {near_names(text, known)}")
    if text == NAS_BENCH_201:
        return read_nas_bench_201()
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
