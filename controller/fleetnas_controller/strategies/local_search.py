"""Hill climbing with restarts."""

__all__ = ["LocalSearch"]

from collections.abc import Sequence
from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import Evaluated, History
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

_TRIES = 50
"""Neighbours drawn before the distance grows."""


class LocalSearch:
    """Moves to any better neighbour at once, and starts anew elsewhere when none was found for a while.

    The reference is the first start, later ones are drawn uniformly. The best of all climbs is not forgotten: the
    answer is taken from every trial.

    Args:
        restart_after: Finished trials without a step up that end a climb; 0: one for each neighbour there is.

    Raises:
        InvalidArgumentError: ``restart_after`` is negative.

    Source: White et al., "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021.
    """

    def __init__(self, problem: Problem, *, restart_after: int = 0) -> None:
        if restart_after < 0:
            raise InvalidArgumentError(f"restart_after is {restart_after}; give 0 or more")
        neighbours = sum(count - 1 for count in problem.space.option_counts)
        self._reference = problem.space.canonical(problem.space.reference)
        self._history = History(problem)
        self._draws = Draws(problem)
        self._restart_after = restart_after or neighbours
        self._base: Evaluated | None = None
        self._idle = 0

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        taken = self._history.taken(pending)
        if not taken and not self._history.finished:
            return self._reference
        if self._base is None:
            return self._draws.fresh(taken, rng)
        return self._draws.near(self._base.architecture, taken, rng, _TRIES)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        entry = self._history.add(outcome)
        if entry is None:
            return
        if self._base is None or entry.reward > self._base.reward:
            self._base, self._idle = entry, 0
            return
        self._idle += 1
        if self._idle >= self._restart_after:
            self._base, self._idle = None, 0
