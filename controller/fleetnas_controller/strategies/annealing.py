"""Simulated annealing with PaddleSlim's parameters, by their names."""

__all__ = ["SimulatedAnnealing"]

import math
from collections.abc import Sequence
from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import Evaluated, History
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError


class SimulatedAnnealing:
    """Moves to a worse neighbour with probability ``exp(-loss / temperature)``, loss in points of accuracy.

    A neighbourhood that is used up widens instead of ending the search. After
    ``restart_after`` trials without a new best the walk starts again at the best, hot.

    Args:
        init_temperature: In points of accuracy. PaddleSlim's 1.0 meets accuracies between 0 and 1, where it
            accepts every first step.
        reduce_rate: Factor of the temperature per finished trial, of whichever device.
        max_try_times: Neighbours drawn before the distance grows.
        init_tokens: Where to start, in the space's text form; the space's reference if empty.
        restart_after: Finished trials without a new best that start the walk again.

    Raises:
        InvalidArgumentError: A parameter out of range, or tokens the space cannot read.

    Source: Kirkpatrick et al., "Optimization by Simulated Annealing", Science 220 (1983).
    """

    def __init__(
        self,
        problem: Problem,
        *,
        init_temperature: float = 1.0,
        reduce_rate: float = 0.85,
        max_try_times: int = 100,
        init_tokens: str = "",
        restart_after: int = 40,
    ) -> None:
        if not (init_temperature > 0.0 and math.isfinite(init_temperature)):
            raise InvalidArgumentError(f"init_temperature is {init_temperature}; give a number above zero")
        if not 0.0 < reduce_rate < 1.0:
            raise InvalidArgumentError(
                f"reduce_rate is {reduce_rate}; give a number between 0 and 1, e.g. 0.85"
            )
        if max_try_times < 1 or restart_after < 1:
            raise InvalidArgumentError(
                f"max_try_times is {max_try_times}, restart_after {restart_after}; both must be 1 or more"
            )
        space = problem.space
        self._start = space.canonical(space.parse(init_tokens) if init_tokens else space.reference)
        self._init_temperature = init_temperature
        self._reduce_rate = reduce_rate
        self._max_try_times = max_try_times
        self._restart_after = restart_after
        self._history = History(problem)
        self._draws = Draws(problem)
        self._base: Evaluated | None = None
        self._best: Evaluated | None = None
        self._steps = 0
        self._idle = 0

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        taken = self._history.taken(pending)
        base = self._base.architecture if self._base else self._start
        if self._start.key not in taken | self._history.finished:
            return self._start
        return self._draws.near(base, taken, rng, self._max_try_times)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        entry = self._history.add(outcome)
        if entry is None:
            return
        if self._base is None or rng.random() < self._acceptance(entry.reward - self._base.reward):
            self._base = entry
        self._steps += 1
        self._idle += 1
        if self._best is None or entry.reward > self._best.reward:
            self._best = entry
            self._idle = 0
        if self._idle >= self._restart_after:
            self._base, self._steps, self._idle = self._best, 0, 0

    def _acceptance(self, gain: float) -> float:
        """Probability of moving; the temperature may have underflowed to zero after many thousand trials."""
        temperature = self._init_temperature * self._reduce_rate**self._steps
        if gain >= 0.0:
            return 1.0
        return math.exp(gain / temperature) if temperature > 0.0 else 0.0
