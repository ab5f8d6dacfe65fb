"""Uniform random search without repetition: the baseline every other strategy has to beat."""

__all__ = ["RandomSearch"]

from collections.abc import Sequence
from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import History
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture


class RandomSearch:
    """Draws every decision uniformly and proposes nothing twice until the space is exhausted.

    Uniform over decisions, so networks with many equivalent codes come sooner than others.
    """

    def __init__(self, problem: Problem) -> None:
        self._history = History(problem)
        self._draws = Draws(problem)

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        return self._draws.fresh(self._history.taken(pending), rng)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        self._history.add(outcome)
