"""Which candidate is expected to move the front of accuracy and costs farthest."""

__all__ = ["Front"]

from collections.abc import Collection, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.exact_caps import exact_count
from fleetnas_controller.strategies.hypervolume import (
    Beliefs,
    expected_gain,
    hypervolume,
    log_room,
    nondominated,
)
from fleetnas_controller.strategies.objective import cap_reading
from fleetnas_controller.strategies.search_models import SearchModels
from fleetnas_controller.strategies.strategy import CapKind, Cost, Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_training.warp import CEILING_PERCENT

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SCORED = 1_500
"""Candidates whose gain is computed. With 400 the share of the front found fell from 78/90/95 to 77/87/94 %."""

_INSIDE = 0.02
"""Candidates expected within 2 % of the corner are useless but for luck; where many networks are as bad as can be
there is much of it: one search of NAS-Bench-201 spent a quarter of its trials on cells without a path."""

_SMALLEST = 1e-9

_USEFUL_SHARE = 0.02
"""Weight of the gain in the useful part beside that in the whole; both as shares of what was found there.

NAS-Bench-201, seven devices, share of the front at 50/100/200 up to the worst and up to the useful corner: without it
99.60/99.87/99.93 and 83.8/94.1/97.3 %, with .01 99.61/99.83/99.94 and 88.6/95.1/98.1, with .03 99.51/99.82/99.95 and
89.6/94.7/98.3, with .1 99.43/99.74/99.93 and 92.1/95.3/98.3."""

_USEFUL_ERROR, _USEFUL_COST = 0.75, 0.5
"""Shares of the candidates beyond which neither an error nor a cost is of use."""


class Front:
    """Expected hypervolume improvement over the models of a search.

    The corner up to which volume counts never moves once the first trials are in: one that followed the search
    left 95 % of a front that a fixed one found to 99.9 %. Beside it the gain up to a nearer corner counts a little:
    the networks that somebody would want lie behind that one, and are a few percent of the volume up to the far one.

    Args:
        initial_count: How many trials settle the corner where the problem leaves it open.
    """

    def __init__(self, problem: Problem, models: SearchModels, initial_count: int) -> None:
        self._problem = problem
        self._models = models
        self._initial_count = initial_count
        self._first: list[Outcome] = []
        self._counts: dict[tuple[CapKind, str], float] = {}

    def observe(self, outcome: Outcome) -> None:
        if len(self._first) < self._initial_count:
            self._first.append(outcome)

    def best(self, allowed: Mask, evaluated: Mask, pending: Sequence[Architecture]) -> Architecture:
        """The candidate of the largest expected gain; pending ones count as if they had come out as predicted.

        Args:
            allowed: At least one.
        """
        models, candidates = self._models, self._models.candidates
        own = [candidates.members[c] for one in pending if (c := candidates.column(one)) is not None]
        kept, worst = models.kept(), self.worst()
        believed = self._beliefs(step=False)
        points = self._points(evaluated | candidates.mask([one.key for one in own]), believed)
        with ExitStack() as stack:
            for belief in models.believing(own):
                stack.enter_context(belief)
            beliefs = self._beliefs(step=True)
        inside = (np.log(worst) - beliefs.mean).min(axis=1) > _INSIDE
        rows = np.flatnonzero(allowed & models.passing(kept) & inside)
        if len(rows) == 0:
            rows = np.flatnonzero(allowed & models.passing(kept))
        if len(rows) == 0:
            return candidates.members[models.nearest(allowed)]
        room = log_room(beliefs.at(rows), points, worst)
        rows = rows[np.argsort(-room, kind="stable")[:_SCORED]]
        scored, useful = beliefs.at(rows), self._useful(believed, worst)
        gain = _relative_gain(scored, points, worst) + _USEFUL_SHARE * _relative_gain(scored, points, useful)
        return candidates.members[int(rows[np.argmax(gain * kept[rows])])]

    def ranked(self, evaluated: Collection[str]) -> list[Architecture]:
        """Evaluated members: the front by descending accuracy, then the rest; those that break a cap last."""
        candidates = self._models.candidates
        columns = np.flatnonzero(candidates.mask(evaluated))
        mean = self._beliefs(step=False).mean[columns]
        safe = self._models.safe()[columns]
        first = np.zeros(len(columns), dtype=bool)
        first[np.flatnonzero(safe)[nondominated(mean[safe])]] = True
        order = np.lexsort((columns, mean[:, 0], ~first, ~safe))
        return [candidates.members[column] for column in columns[order]]

    def merit(self, evaluated: Mask) -> Floats:
        """How promising each candidate is, for the renewal of the pool; shape ``(M,)``."""
        believed = self._beliefs(step=False)
        return log_room(believed, self._points(evaluated, believed), self.worst())

    def worst(self) -> Floats:
        """The corner: error, then the costs, as the problem says or as the first trials were, and no cap beyond."""
        return np.array(
            [
                CEILING_PERCENT - self._problem.worst_accuracy,
                *(self._worst_cost(cost) for cost in self._problem.costs),
            ]
        )

    def _useful(self, believed: Beliefs, worst: Floats) -> Floats:
        """A second corner: three fourths of the candidates err less, half of them cost less, as far as is known."""
        mean = believed.mean[self._models.candidates.allowed]
        error, costs = np.quantile(mean[:, 0], _USEFUL_ERROR), np.quantile(mean[:, 1:], _USEFUL_COST, axis=0)
        return np.minimum(np.exp([error, *costs]), worst)

    def _worst_cost(self, cost: Cost) -> float:
        readings = [reading.value for one in self._first if (reading := cap_reading(one, cost)) is not None]
        worst = cost.worst if cost.worst is not None else max(readings, default=1.0)
        caps = [cap.limit for cap in self._problem.caps if (cap.kind, cap.device) == (cost.kind, cost.device)]
        return min([worst, *caps])

    def _points(self, seen: Mask, believed: Beliefs) -> Floats:
        """What was found so far: the front of the posterior medians of members that keep the caps."""
        points = np.exp(believed.mean[seen & self._models.safe()])
        return points[nondominated(points)]

    def _beliefs(self, *, step: bool) -> Beliefs:
        """Error and costs of every candidate; with ``step`` the deviation of what one more trial may teach."""
        accuracy = self._models.accuracy
        variance = accuracy.variance
        if step:
            variance = np.square(variance) / (variance + accuracy.noise_variance)
        means, stds = [-accuracy.mean], [np.sqrt(variance)]
        for cost in self._problem.costs:
            mean, std = self._cost(cost)
            means.append(mean)
            stds.append(std)
        return Beliefs(np.stack(means, axis=1), np.stack(stds, axis=1))

    def _cost(self, cost: Cost) -> tuple[Floats, Floats]:
        if cost.kind is CapKind.LATENCY_MS:
            return self._models.latencies[cost.device].log_ms()
        counts = [self._count(cost.kind, one) for one in self._models.candidates.members]
        return np.log(np.maximum(counts, _SMALLEST)), np.zeros(len(counts))

    def _count(self, kind: CapKind, one: Architecture) -> float:
        known = self._counts.get((kind, one.key))
        if known is None:
            known = float(exact_count(kind, self._problem.space.graph(one)))
            self._counts[kind, one.key] = known
        return known


def _relative_gain(beliefs: Beliefs, points: Floats, corner: Floats) -> Floats:
    """The expected gain as a share of the volume found so far and the best gain; shape ``(M,)``, 0 to 1."""
    gain = expected_gain(beliefs, points, corner)
    whole = hypervolume(points, corner) + gain.max(initial=0.0)
    return gain / whole if whole > 0.0 else gain
