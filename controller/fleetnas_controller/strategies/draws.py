"""Architectures nobody has tried yet, drawn so that the exact caps hold."""

__all__ = ["Draws"]

from collections.abc import Callable, Sequence, Set
from functools import partial
from random import Random

from fleetnas_controller.strategies.exact_caps import ExactCaps
from fleetnas_controller.strategies.strategy import Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import canonical_members

_TRIES = 100
"""Draws before the space is listed; with half of a space tried they all fail once in 2**100."""

_WALK = 300
"""Steps into the exact caps, at most."""

_LISTABLE = 20_000
"""Spaces with at most this many codes are listed when blind drawing no longer finds anything new."""


class Draws:
    """Draws members of the space that are not taken.

    Where every draw breaks an exact cap, the one that breaks it least is proposed: the search then ends with
    a nearest miss to show instead of with nothing.
    """

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._caps = ExactCaps(problem)
        self._members: tuple[Architecture, ...] | None = None
        self._listed = False

    def fresh(self, taken: Set[str], rng: Random) -> Architecture:
        """A uniform draw among what is not taken; any member once the space is exhausted."""
        found = self.first(lambda: self._space.sample(rng), taken, _TRIES)
        if found is not None and self._caps.violation(found) == 0.0:
            return found
        left = [one for one in self._all() if one.key not in taken]
        if left:
            least = min(self._caps.violation(one) for one in left)
            return rng.choice([one for one in left if self._caps.violation(one) == least])
        inside = self._inside(found or self._space.sample(rng), rng)
        return found if found is not None and inside.key in taken else inside

    def keeps(self, architecture: Architecture) -> bool:
        """Whether it keeps the exact caps."""
        return self._caps.violation(architecture) == 0.0

    def first(self, draw: Callable[[], Architecture], taken: Set[str], tries: int) -> Architecture | None:
        """The first of ``tries`` draws that is not taken and keeps the exact caps.

        Returns:
            Canonical; the untaken draw that breaks the exact caps least when none keeps them; ``None`` when
            every draw was taken.
        """
        nearest: Architecture | None = None
        for _ in range(tries):
            drawn = self._space.canonical(draw())
            if drawn.key in taken:
                continue
            if self._caps.violation(drawn) == 0.0:
                return drawn
            if nearest is None or self._caps.violation(drawn) < self._caps.violation(nearest):
                nearest = drawn
        return nearest

    def near(self, parent: Architecture, taken: Set[str], rng: Random, tries: int) -> Architecture:
        """An untaken mutant of ``parent``: one choice away if such a one is found, else two, four, ... away.

        A neighbourhood that is used up widens until it is the whole space, so the search never ends early. A parent
        that breaks an exact cap gives way to the end of a walk into the cap: that costs no evaluation.
        """
        parent = self._inside(parent, rng)
        steps = 1
        while steps <= 2 * len(self._space.option_counts):
            found = self.first(partial(self._mutant, parent, steps, rng), taken, tries)
            if found is not None and self._caps.violation(found) == 0.0:
                return found
            steps *= 2
        return self.fresh(taken, rng)

    def _inside(self, start: Architecture, rng: Random) -> Architecture:
        """The end of a walk of single choices from ``start`` that never breaks the exact caps by more than before."""
        here = self._space.canonical(start)
        for _ in range(_WALK):
            if self._caps.violation(here) == 0.0:
                break
            step = self._space.canonical(self._space.mutate(here, rng))
            if self._caps.violation(step) <= self._caps.violation(here):
                here = step
        return here

    def _mutant(self, parent: Architecture, steps: int, rng: Random) -> Architecture:
        for _ in range(steps):
            parent = self._space.mutate(parent, rng)
        return parent

    def _all(self) -> Sequence[Architecture]:
        if not self._listed:
            self._members = canonical_members(self._space, _LISTABLE)
            self._listed = True
        return self._members or ()
