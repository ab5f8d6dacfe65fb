"""Trainings that end early when they do not promise enough: successive halving and the median rule."""

__all__ = ["RULES", "Curve", "StagedTraining", "StoppingRule", "halving", "median_stop"]

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import median

import numpy as np

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_training.accuracy import Accuracy, CurvePoint, CurveSource
from fleetnas_training.warp import percent_of, warp

_ETA = 4
_FEWEST = 5
"""Trainings that have come as far before any is stopped by the median, or estimated."""


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a training ends before it is through.

    Attributes:
        goes_on: (accuracies of earlier trainings after as many epochs, this one's) -> whether it goes on.
        eta: It decides at the first point past each of all epochs / eta, / eta^2, ... down to the first epoch; 0: at
            every point.
    """

    goes_on: Callable[[Sequence[float], float], bool]
    eta: int = 0

    def decides(self, before: int, point: CurvePoint) -> bool:
        """Whether it decides at ``point``, which follows one after ``before`` epochs."""
        rung = float(point.all_epochs)
        while self.eta and rung > point.epochs:
            rung /= self.eta
        return not self.eta or (rung >= 1.0 and before < rung)


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


RULES: Mapping[str, StoppingRule] = {
    "halving": StoppingRule(halving, _ETA),
    "median": StoppingRule(median_stop),
}
"""By the name a user gives."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A training, as far as it came.

    Attributes:
        points: (epochs, top-1 in percent) in their order; at least one.
        all_epochs: After how many it would have ended by itself.
        finished: Whether it did.
        final_percent: After all epochs: its own when it came there, else the estimate of what it would have had.
        spent_epochs: What it cost; more than it came to where a longer training starts anew.
    """

    points: tuple[tuple[int, float], ...]
    all_epochs: int
    finished: bool
    final_percent: float
    spent_epochs: int

    @property
    def epochs(self) -> int:
        """How far it came."""
        return self.points[-1][0]

    @property
    def saved_epochs(self) -> int:
        """Against one training to the end; negative where a finished one cost more."""
        return self.all_epochs - self.spent_epochs


class StagedTraining:
    """Trains architectures up to where a rule ends them, and estimates what it did not train to the end.

    The rule compares with what was remembered, in whatever order. The estimate is a line through the remembered
    trainings that came to the end, their last accuracies over those after as many epochs as this one had, on the
    warped scale; the accuracy so far where they are fewer than five. It is for strategies to learn from and never an
    answer: only ``finished`` ones may be.
    """

    def __init__(self, source: CurveSource, rule: StoppingRule) -> None:
        self._source = source
        self._rule = rule
        self._reached: dict[int, list[float]] = defaultdict(list)
        self._pairs: dict[int, list[tuple[float, float]]] = defaultdict(list)

    def train(self, architecture: Architecture, draw: int) -> tuple[Accuracy, Curve]:
        """Its accuracy as far as it came, and its curve, which is not remembered yet.

        Raises:
            As ``AccuracySource.evaluate``.
        """
        points: list[CurvePoint] = []
        with closing(self._source.curve(architecture, draw)) as curve:
            for point in curve:
                ended = self._ends(points[-1].epochs if points else 0, point)
                points.append(point)
                if ended:
                    break
        if not points:
            raise FailedPreconditionError(f"{self._source.name} gave no accuracy of '{architecture.key}'.")
        last = points[-1]
        value, finished = last.accuracy.value_percent, last.epochs == last.all_epochs
        spent = last.epochs if self._source.resumable else sum(one.epochs for one in points)
        values = tuple((one.epochs, one.accuracy.value_percent) for one in points)
        final = value if finished else self._estimate(last.epochs, value)
        return last.accuracy, Curve(values, last.all_epochs, finished, final, spent)

    def remember(self, curve: Curve) -> None:
        """Takes a training in, for the rule and the estimates of those that follow."""
        for epochs, percent in curve.points:
            self._reached[epochs].append(percent)
            if curve.finished and epochs < curve.all_epochs:
                self._pairs[epochs].append((warp(percent), warp(curve.final_percent)))

    def _ends(self, before: int, point: CurvePoint) -> bool:
        if point.epochs == point.all_epochs or not self._rule.decides(before, point):
            return False
        return not self._rule.goes_on(self._reached[point.epochs], point.accuracy.value_percent)

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
