"""The models of one search, over one pool of candidates."""

__all__ = ["SearchModels"]

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fleetnas_controller.strategies.acquisition import (
    GATE,
    choose,
    expected_excess,
    improvement,
    log_cap_score,
)
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
        initial_count, design_seed: Size of ``design``, and what draws one of its members.
        belief: Makes the model of one device's latencies (``latency_belief.BELIEFS``).
    """

    def __init__(
        self,
        problem: Problem,
        initial_count: int,
        design_seed: int | None,
        belief: Callable[[SearchSpace, Candidates, float], LatencyBelief],
    ) -> None:
        self._initial_count = initial_count
        self._design_seed = design_seed
        self.candidates = Candidates(problem)
        self.accuracy = PoolModel(
            self.candidates.features, self.candidates.ids, noisy=problem.accuracy_noise, fine=_FINE
        )
        self._limits = [cap for cap in problem.caps if cap.kind is CapKind.LATENCY_MS]
        costs = {one.device: 1.0 for one in problem.costs if one.kind is CapKind.LATENCY_MS}
        self._soft = problem.soft
        focus_ms = (
            costs
            | {cap.device: cap.limit_ms for cap in problem.soft}
            | {cap.device: cap.limit for cap in self._limits}
        )
        self.latencies: dict[str, LatencyBelief] = {
            device: belief(problem.space, self.candidates, limit_ms) for device, limit_ms in focus_ms.items()
        }

    @cached_property
    def design(self) -> list[Architecture]:
        """What to evaluate before the models have learned anything."""
        return self.candidates.design(self._initial_count, self._design_seed)

    def observe(self, architecture: Architecture, outcome: Outcome) -> None:
        """Learns what the outcome holds: an accuracy, latencies, both or nothing."""
        if outcome.accuracy is not None:
            features = self.candidates.standardised([architecture])[0]
            self.accuracy.observe(features, self.candidates.number(architecture), warp(outcome.accuracy), 0.0)
        for device, belief in self.latencies.items():
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
        kept = self.kept()
        rivals = evaluated & (kept > _SAFE)
        if not rivals.any():
            rivals = evaluated
        with self._accuracy_believing(pending):
            variance = self.accuracy.variance
        mean, slope = self._priced()
        gain = improvement(mean, slope**2 * variance, slope**2 * self.accuracy.noise_variance, rivals)
        return self.candidates.members[choose(gain, kept, scores, allowed)]

    def believing(self, pending: Sequence[Architecture]) -> list[AbstractContextManager[None]]:
        """For each model a context in which the pending ones came out as predicted."""
        return [
            self._accuracy_believing(pending),
            *(one.believing(pending) for one in self.latencies.values()),
        ]

    def ranked(self, evaluated: Collection[str]) -> list[Architecture]:
        """Evaluated members, best answer first: those safely under every cap by accuracy, then the near misses."""
        columns = np.flatnonzero(self.candidates.mask(evaluated))
        scores, mean = self._scores()[columns], self.merit()[columns]
        safe = self.safe()[columns]
        merit = np.where(safe, mean, scores)
        order = np.lexsort((columns, -merit, ~self.candidates.allowed[columns], ~safe))
        return [self.candidates.members[column] for column in columns[order]]

    def merit(self) -> Floats:
        """Posterior mean of every candidate's accuracy, less the price of its latencies; warped, shape ``(M,)``."""
        return self._priced()[0]

    def _priced(self) -> tuple[Floats, Floats | float]:
        """``merit``, and by how much less than the accuracy it moves when the accuracy does.

        The warp is minus the logarithm of the error, so a price in points adds to the error; the expected price, as
        what one more measurement teaches about a latency is little beside what it teaches about the accuracy.
        """
        if not self._soft:
            return self.accuracy.mean, 1.0
        price = np.zeros(len(self.candidates))
        for cap in self._soft:
            price += cap.price * expected_excess(cap.limit_ms, *self.latencies[cap.device].log_ms())
        error = np.exp(-self.accuracy.mean)
        return -np.log(error + price), error / (error + price)

    def leaving(self, merit: Floats, evaluated: Collection[str], count: int, rng: Random) -> list[int]:
        """Columns to give away: of the worse half by merit, first those never evaluated.

        Args:
            merit: Shape ``(M,)``, the more the better.
        """
        if self.candidates.whole:
            return []
        order = np.argsort(merit, kind="stable")
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
        for belief in self.latencies.values():
            belief.replace(change)

    def passing(self, kept: Floats) -> Mask:
        """Which candidates are likely enough to keep the caps to be worth a trial."""
        passing: Mask = kept > GATE
        return passing

    def nearest(self, allowed: Mask) -> int:
        """The allowed candidate that misses the caps by least, in standard deviations."""
        return int(np.argmax(np.where(allowed, self._scores(), -np.inf)))

    def safe(self) -> Mask:
        """Which candidates keep every cap, the latencies with deviations to spare."""
        safe: Mask = (self._scores() >= SIGMAS) & self.candidates.allowed
        return safe

    def _accuracy_believing(self, pending: Sequence[Architecture]) -> AbstractContextManager[None]:
        if not pending:
            return nullcontext()
        numbers = [self.candidates.number(one) for one in pending]
        return self.accuracy.believing(self.candidates.standardised(pending), numbers)

    def kept(self) -> Floats:
        """Probability that every latency cap holds, devices taken as independent."""
        kept = np.ones(len(self.candidates))
        for cap in self._limits:
            mean, std = self.latencies[cap.device].log_ms()
            kept *= ndtr(log_cap_score(np.log(cap.limit), mean, std))
        return kept

    def _scores(self) -> Floats:
        """The smallest margin to a latency cap, in standard deviations; infinite without one."""
        scores = np.full(len(self.candidates), np.inf)
        for cap in self._limits:
            mean, std = self.latencies[cap.device].log_ms()
            scores = np.minimum(scores, log_cap_score(np.log(cap.limit), mean, std))
        return scores
