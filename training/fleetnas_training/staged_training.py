"""Trainings that end early when they do not promise enough: successive halving and the median rule."""

__all__ = ["RULES", "Staged", "StagedTraining", "StoppingRule", "halving", "median_stop"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_training.accuracy import Accuracy, CurveSource
from fleetnas_training.warp import percent_of, warp

_ETA = 4
_FEWEST = 5
"""Trainings that have come as far before any is stopped by the median, or estimated."""

StoppingRule = Callable[[Sequence[float], float], bool]
"""(accuracies of earlier trainings after as many epochs, this one's) -> whether it goes on."""


def halving(before: Sequence[float], value: float, eta: int = _ETA) -> bool:
    """Whether a training is among the best ``1 / eta`` of all that came as far, itself included; the first always is.

    Decided at once, for trainings that come one after the other or from many workers.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA, stopping at once).
    """
    room = max(1, (len(before) + 1) // eta)
    return sum(one > value for one in before) < room


def median_stop(before: Sequence[float], value: float) -> bool:
    """Whether a training is no worse than the median of those that came as far; the first five always go on.

    Source: Golovin et al., "Google Vizier", KDD 2017. PaddleSlim's ``MedianStop`` is the same rule on running means.
    """
    return len(before) < _FEWEST or value >= median(before)


RULES: Mapping[str, StoppingRule] = {"halving": halving, "median": median_stop}
"""By the name a user gives."""


@dataclass(frozen=True, slots=True)
class Staged:
    """How a training ended.

    Attributes:
        accuracy: After the epochs it came to.
        epochs: So many.
        finished: Whether those are all.
        final_percent: After all epochs: ``accuracy`` when it came there, else the estimate of what it would have had.
        spent_epochs: What it cost; more than ``epochs`` where a longer training starts anew.
    """

    accuracy: Accuracy
    epochs: int
    finished: bool
    final_percent: float
    spent_epochs: int


class StagedTraining:
    """Trains architectures up to where a rule ends them, and estimates what it did not train to the end.

    The estimate is a line through the trainings that came to the end, their last accuracies over those after as many
    epochs as this one had, on the warped scale; the accuracy so far where they are fewer than five. It is for
    strategies to learn from and never an answer: only ``finished`` ones may be.
    """

    def __init__(self, source: CurveSource, rule: StoppingRule) -> None:
        self._source = source
        self._rule = rule
        self._reached: dict[int, list[float]] = {epochs: [] for epochs in source.epochs}
        self._pairs: dict[int, list[tuple[float, float]]] = {epochs: [] for epochs in source.epochs[:-1]}

    def train(self, architecture: Architecture, draw: int) -> Staged:
        """Errors as ``AccuracySource.evaluate``."""
        spent, seen = 0, dict[int, float]()
        last = self._source.epochs[-1]
        for epochs in self._source.epochs:
            accuracy = self._source.evaluate_at(architecture, draw, epochs)
            spent = epochs if self._source.resumable else spent + epochs
            before = self._reached[epochs]
            goes_on = epochs == last or self._rule(before, accuracy.value_percent)
            before.append(accuracy.value_percent)
            seen[epochs] = accuracy.value_percent
            if not goes_on:
                final = self._estimate(epochs, accuracy.value_percent)
                return Staged(accuracy, epochs, False, final, spent)
        for epochs, pairs in self._pairs.items():
            pairs.append((warp(seen[epochs]), warp(seen[last])))
        return Staged(accuracy, last, True, accuracy.value_percent, spent)

    def _estimate(self, epochs: int, value_percent: float) -> float:
        pairs = np.array(self._pairs[epochs])
        if len(pairs) < _FEWEST:
            return value_percent
        early, final = pairs[:, 0], pairs[:, 1]
        spread = float(early.var())
        slope = 0.0 if spread == 0.0 else max(0.0, float(np.cov(early, final, bias=True)[0, 1]) / spread)
        estimate = final.mean() + slope * (warp(value_percent) - early.mean())
        percent, _ = percent_of(np.array([estimate]), np.zeros(1))
        return float(np.clip(percent[0], 0.0, 100.0))
