"""The architectures a model-based strategy chooses from."""

__all__ = ["Candidates", "Change"]

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.exact_caps import ExactCaps
from fleetnas_controller.strategies.strategy import Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.written_cells import RunsMore
from fleetnas_training.maximin import maximin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LISTABLE = 20_000
"""Spaces with at most this many codes are listed whole."""

_POOL = 2_000
_DRAWS_PER_MEMBER = 20
_DRAW_SEED = 0
"""The first pool is part of the method, not of the run: every search of a space starts from the same one."""


@dataclass(frozen=True, slots=True)
class Change:
    """New candidates that replaced others.

    Attributes:
        columns: Where, shape ``(K,)``.
        features, executed: Standardised, shapes ``(K, D)`` and ``(K, E)``.
        ids: Numbers of the new architectures, shape ``(K,)``.
    """

    columns: Ints
    features: Floats
    executed: Floats
    ids: Ints


class _Scale:
    """Features on the scale of a first pool: mean 0, deviation 1."""

    def __init__(self, raw: Callable[[Sequence[Architecture]], Floats], pool: Sequence[Architecture]) -> None:
        self._raw = raw
        values = raw(pool)
        self._centre = values.mean(axis=0)
        spread = values.std(axis=0)
        self._spread = np.where(spread > 1e-12, spread, 1.0)
        self.pool: Floats = (values - self._centre) / self._spread

    def __call__(self, architectures: Sequence[Architecture]) -> Floats:
        scaled: Floats = (self._raw(architectures) - self._centre) / self._spread
        return scaled


class Candidates:
    """A pool: the whole space where it is small, else a sample that moves along with the search.

    Attributes:
        members: Canonical, no two with one key; the position is the candidate's column.
        features: For accuracy, standardised over the first pool, shape ``(M, D)``.
        executed: For latency, the same array unless the space says otherwise (``RunsMore``).
        ids: A number for each architecture, the same as long as the search lives; shape ``(M,)``.
        allowed: Which members keep the exact caps, shape ``(M,)``.
        whole: Whether the pool is the space.
    """

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._caps = ExactCaps(problem)
        listed = canonical_members(problem.space, _LISTABLE)
        self.whole = listed is not None
        self.members = list(listed) if listed is not None else self._first_pool()
        self.standardised = _Scale(self._space.features, self.members)
        self.features = self.standardised.pool
        self.executing = self.standardised
        if isinstance(self._space, RunsMore):
            self.executing = _Scale(self._space.executed, self.members)
        self.executed = self.executing.pool
        self._numbers: dict[str, int] = {}
        self.ids = np.array([self.number(one) for one in self.members])
        self.allowed = np.array([self._caps.violation(one) == 0.0 for one in self.members])
        self._columns = {one.key: column for column, one in enumerate(self.members)}

    def __len__(self) -> int:
        return len(self.members)

    def number(self, architecture: Architecture) -> int:
        """The architecture's number in ``ids``; a new one when it was never seen."""
        return self._numbers.setdefault(architecture.key, len(self._numbers))

    def column(self, architecture: Architecture) -> int | None:
        return self._columns.get(architecture.key)

    def mask(self, keys: Iterable[str]) -> Mask:
        """Which members bear one of the keys; unknown keys are passed over."""
        mask = np.zeros(len(self.members), dtype=bool)
        mask[[self._columns[key] for key in keys if key in self._columns]] = True
        return mask

    def design(self, count: int, seed: int | None = None) -> list[Architecture]:
        """Members to begin with: the reference, the plainest, then those most unlike one another.

        The plainest takes the first option everywhere, which every space here makes its smallest network.

        Args:
            seed: Draws the third; None: it is the one most unlike the first two, as are all that follow.
        """
        plainest = Architecture(
            self._space.name, (0,) * len(self._space.option_counts), self._space.reference.resolution_px
        )
        anchors = [self._space.canonical(one) for one in (self._space.reference, plainest)]
        usable = np.flatnonzero(self.allowed)
        if len(usable) == 0:
            return list(dict.fromkeys(anchors))
        cloud = np.concatenate([self._described(anchors), self._described_members()[usable]])
        drawn = [] if seed is None else [2 + Random(seed).randrange(len(usable))]
        rows = maximin(cloud, count, np.array([0, 1, *drawn]))
        pool = [*anchors, *(self.members[column] for column in usable)]
        chosen = dict.fromkeys(pool[row] for row in rows)
        kept = [one for one in chosen if self._caps.violation(one) == 0.0]
        return kept or list(chosen)

    def _described(self, architectures: Sequence[Architecture]) -> Floats:
        scales = dict.fromkeys((self.standardised, self.executing))
        return np.concatenate([scale(architectures) for scale in scales], axis=1)

    def _described_members(self) -> Floats:
        scales = dict.fromkeys((self.standardised, self.executing))
        return np.concatenate([scale.pool for scale in scales], axis=1)

    def admit(self, newcomers: Sequence[Architecture], leaving: Sequence[int]) -> Change | None:
        """Puts newcomers that are not members yet into the columns of those leaving, as many as there are."""
        fresh = {one.key: one for one in newcomers if one.key not in self._columns}
        pairs = list(zip(leaving, fresh.values(), strict=False))
        if not pairs:
            return None
        columns = np.array([column for column, _ in pairs])
        arrived = [one for _, one in pairs]
        features, executed = self.standardised(arrived), self.executing(arrived)
        for column, one in pairs:
            del self._columns[self.members[column].key]
            self._columns[one.key] = column
            self.members[column] = one
            self.allowed[column] = self._caps.violation(one) == 0.0
        self.features[columns], self.executed[columns] = features, executed
        self.ids[columns] = [self.number(one) for one in arrived]
        return Change(columns, features, executed, self.ids[columns])

    def relatives(self, parents: Sequence[Architecture], count: int, rng: Random) -> list[Architecture]:
        """Mutants one and two choices away from the parents, and one uniform draw for every three of them."""
        drawn = []
        for turn in range(count):
            if turn % 4 == 3 or not parents:
                one = self._space.sample(rng)
            else:
                one = self._space.mutate(rng.choice(parents), rng)
                one = self._space.mutate(one, rng) if turn % 2 else one
            drawn.append(self._space.canonical(one))
        return drawn

    def _first_pool(self) -> list[Architecture]:
        rng = Random(_DRAW_SEED)
        found: dict[str, Architecture] = {}
        for _ in range(_POOL * _DRAWS_PER_MEMBER):
            one = self._space.canonical(self._space.sample(rng))
            if one.key not in found and self._caps.violation(one) == 0.0:
                found[one.key] = one
            if len(found) == _POOL:
                break
        reference = self._space.canonical(self._space.reference)
        found.setdefault(reference.key, reference)
        return list(found.values())
