"""A strategy that a plug-in brings: what breaks in it is told in one line that names it."""

__all__ = ["guarded", "plug_in_errors"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from fleetnas_controller.strategies.strategy import Outcome, Ranks, Strategy
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError


@contextmanager
def plug_in_errors(name: str, step: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raises FailedPreconditionError for what the strategy called ``name`` raises in ``step``, ``passing`` apart."""
    try:
        yield
    except passing:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FailedPreconditionError(
            f"the plug-in of strategy '{name}' fails in {step} with {reason}: repair or uninstall it."
        ) from error


def guarded(name: str, strategy: Strategy, space: SearchSpace) -> Strategy:
    """``strategy`` behind ``plug_in_errors``; it ranks if the strategy does, and answers from ``space`` only."""
    if isinstance(strategy, Ranks):
        return _GuardedRanks(name, strategy, space, strategy)
    return _Guarded(name, strategy, space)


class _Guarded:
    def __init__(self, name: str, strategy: Strategy, space: SearchSpace) -> None:
        self._name = name
        self._strategy = strategy
        self._space = space

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        with plug_in_errors(self._name, "ask"):
            return _checked(self._strategy.ask(pending, rng), self._space)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        with plug_in_errors(self._name, "tell"):
            self._strategy.tell(outcome, rng)


class _GuardedRanks(_Guarded):
    def __init__(self, name: str, strategy: Strategy, space: SearchSpace, ranks: Ranks) -> None:
        super().__init__(name, strategy, space)
        self._ranks = ranks

    def rank(self) -> Sequence[Architecture]:
        with plug_in_errors(self._name, "rank"):
            return [_checked(one, self._space) for one in self._ranks.rank()]


def _checked(answer: object, space: SearchSpace) -> Architecture:
    if not isinstance(answer, Architecture):
        raise TypeError(f"a {type(answer).__name__} is no Architecture")
    return space.canonical(answer)
