"""The models of one search, over one pool of candidates."""

__all__ = ["SearchModels"]

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fleetnas_controller.strategies.acquisition import choose, improvement, log_cap_score
from fleetnas_controller.strategies.candidates import Candidates
from fleetnas_controller.strategies.latency_belief import LatencyBelief
from fleetnas_controller.strategies.objective import SIGMAS
from fleetnas_controller.strategies.strategy import CapKind, Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_training.pool_model import PoolModel
from fleetnas_training.warp import warp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FINE = 0.1
_SAFE = 0.9
"""Probability of keeping the caps from which on an evaluated architecture counts as a possible answer."""

_SETTLED = 0.5
"""Share of the pool, the better one by posterior mean, that renewal leaves alone."""


class SearchModels:
    """Accuracy and latencies of every candidate, and the choices that follow from them.

    Args:
        initial_count: Size of ``design``.
        belief: Makes the model of one device's latencies (``latency_belief.BELIEFS``).
    """

    def __init__(
        self,
        problem: Problem,
        initial_count: int,
        belief: Callable[[SearchSpace, Candidates, float], LatencyBelief],
    ) -> None:
        self._initial_count = initial_count
        self.candidates = Candidates(problem)
        self.accuracy = PoolModel(
            self.candidates.features, self.candidates.ids, noisy=problem.accuracy_noise, fine=_FINE
        )
        self._limits = [cap for cap in problem.caps if cap.kind is CapKind.LATENCY_MS]
        self._latencies: dict[str, LatencyBelief] = {
            cap.device: belief(problem.space, self.candidates, cap.limit) for cap in self._limits
        }

    @cached_property
    def design(self) -> list[Architecture]:
        """What to evaluate before the models have learned anything."""
        return self.candidates.design(self._initial_count)

    def observe(self, architecture: Architecture, outcome: Outcome) -> None:
        """Learns what the outcome holds: an accuracy, latencies, both or nothing."""
        if outcome.accuracy is not None:
            features = self.candidates.standardised([architecture])[0]
            self.accuracy.observe(features, self.candidates.number(architecture), warp(outcome.accuracy), 0.0)
        for device, belief in self._latencies.items():
            reading = outcome.latencies.get(device)
            if reading is not None:
                belief.observe(architecture, reading)

    def best(self, allowed: Mask, evaluated: Mask, pending: Sequence[Architecture]) -> Architecture:
        """The candidate most worth evaluating while ``pending`` are under way.

        Each pending one counts as if it had come out as predicted, which makes its like less interesting.

        Args:
            allowed: At least one.
        """
        scores = self._scores()
        kept = self._kept()
        rivals = evaluated & (kept > _SAFE)
        if not rivals.any():
            rivals = evaluated
        before = self.accuracy.snapshot()
        for one in pending:
            features = self.candidates.standardised([one])[0]
            self.accuracy.believe(features, self.candidates.number(one))
        variance = self.accuracy.variance
        self.accuracy.forget(before)
        gain = improvement(self.accuracy.mean, variance, self.accuracy.noise_variance, rivals)
        return self.candidates.members[choose(gain, kept, scores, allowed)]

    def ranked(self, evaluated: Collection[str]) -> list[Architecture]:
        """Evaluated members, best answer first: those safely under every cap by accuracy, then the near misses."""
        columns = np.flatnonzero(self.candidates.mask(evaluated))
        scores, mean = self._scores()[columns], self.accuracy.mean[columns]
        safe = (scores >= SIGMAS) & self.candidates.allowed[columns]
        merit = np.where(safe, mean, scores)
        order = np.lexsort((columns, -merit, ~self.candidates.allowed[columns], ~safe))
        return [self.candidates.members[column] for column in columns[order]]

    def parents(self, evaluated: Collection[str], count: int) -> list[Architecture]:
        """The most promising evaluated members."""
        return self.ranked(evaluated)[:count]

    def leaving(self, evaluated: Collection[str], count: int, rng: Random) -> list[int]:
        """Columns to give away: of the worse half by posterior mean, first those never evaluated."""
        if self.candidates.whole:
            return []
        order = np.argsort(self.accuracy.mean, kind="stable")
        worse = order[: int(_SETTLED * len(order))]
        seen = self.candidates.mask(evaluated)[worse]
        spare = [int(column) for column in worse[~seen]]
        if len(spare) >= count:
            return rng.sample(spare, count)
        return spare + [int(column) for column in worse[seen][: count - len(spare)]]

    def renew(self, newcomers: Sequence[Architecture], leaving: Sequence[int]) -> None:
        """Lets newcomers into the pool, and all models follow."""
        change = self.candidates.admit(newcomers, leaving)
        if change is None:
            return
        self.accuracy.replace(change.columns, change.features, change.ids)
        for belief in self._latencies.values():
            belief.replace(change)

    def _kept(self) -> Floats:
        """Probability that every latency cap holds, devices taken as independent."""
        kept = np.ones(len(self.candidates))
        for cap in self._limits:
            mean, std = self._latencies[cap.device].log_ms()
            kept *= ndtr(log_cap_score(np.log(cap.limit), mean, std))
        return kept

    def _scores(self) -> Floats:
        """The smallest margin to a latency cap, in standard deviations; infinite without one."""
        scores = np.full(len(self.candidates), np.inf)
        for cap in self._limits:
            mean, std = self._latencies[cap.device].log_ms()
            scores = np.minimum(scores, log_cap_score(np.log(cap.limit), mean, std))
        return scores
