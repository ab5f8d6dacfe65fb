"""Regularized evolution."""

__all__ = ["RegularizedEvolution"]

from collections.abc import Sequence
from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import History
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

_TRIES = 50
"""Mutants of one parent before the distance grows."""


class RegularizedEvolution:
    """Mutates the winner of a tournament among the youngest; the old die, however good they are.

    The reference and random members make the first population. A mutant that was tried already or that breaks
    an exact cap is drawn again.

    Args:
        population_size: How many of the trials told last may become parents.
        tournament_size: Parents drawn for one tournament.

    Raises:
        InvalidArgumentError: A size under one.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
    """

    def __init__(self, problem: Problem, *, population_size: int = 20, tournament_size: int = 5) -> None:
        if population_size < 1 or tournament_size < 1:
            raise InvalidArgumentError(
                f"population_size is {population_size}, tournament_size {tournament_size}; "
                "both must be 1 or more"
            )
        self._reference = problem.space.canonical(problem.space.reference)
        self._history = History(problem)
        self._draws = Draws(problem)
        self._population_size = population_size
        self._tournament_size = tournament_size

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        taken = self._history.taken(pending)
        evaluated = self._history.evaluated
        if not taken and not self._history.finished:
            return self._reference
        if not evaluated or len(self._history) + len(pending) < self._population_size:
            return self._draws.fresh(taken, rng)
        alive = evaluated[-self._population_size :]
        fighters = rng.sample(alive, min(self._tournament_size, len(alive)))
        winner = max(fighters, key=lambda one: one.reward)
        return self._draws.near(winner.architecture, taken, rng, _TRIES)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        self._history.add(outcome)
