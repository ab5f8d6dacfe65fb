"""Which decisions each part of a network depends on: what lets ten thousand be predicted at once."""

__all__ = ["Segments"]

from collections.abc import Sequence
from itertools import groupby
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.block_counts import BlockCounts
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError

_PROBED_NETWORKS = 6
_PROBED_OPTIONS = 3
_MOST_COMBINATIONS = 1_000_000
Codes = NDArray[np.int64]


class Segments:
    """Parts of a space's networks, each a function of a few decisions.

    A part is what bears one first word in the names of the graph's nodes: the stem, a stage, the head. What it
    depends on is found out by changing one decision at a time in a few networks, and checked in every network
    that is looked at later. A combination of decisions is looked up in the graph of one network that has it.

    Raises:
        FailedPreconditionError: A part depends on more than was found out, or on too many decisions.
    """

    def __init__(self, space: SearchSpace, counts: BlockCounts) -> None:
        self._space = space
        self._counts = counts
        self._radices = np.array(space.option_counts, dtype=np.int64)
        self.names, decisions = self._found_out()
        self._decisions = [np.array(sorted(one), dtype=np.int64) for one in decisions]
        sizes = [int(self._radices[one].prod()) for one in self._decisions]
        if max(sizes) > _MOST_COMBINATIONS:
            raise FailedPreconditionError(
                f"a part of space '{space.name}' has {max(sizes)} combinations of decisions: predict its networks "
                "with LatencyModel.predict."
            )
        self._places = [np.full(size, -1) for size in sizes]
        self.entries: list[list[tuple[int, ...]]] = [[] for _ in self.names]
        """Of each part, the entries of each combination met, repeats included."""

    def indices(self, choices: Codes) -> NDArray[np.int64]:
        """Where each network's combination of each part stands in ``entries``.

        Args:
            choices: Shape ``(N, decisions)``.

        Returns:
            Shape ``(parts, N)``.
        """
        codes = [self._codes(part, choices) for part in range(len(self.names))]
        return np.array([self._placed(part, code, choices) for part, code in enumerate(codes)])

    def _codes(self, part: int, choices: Codes) -> NDArray[np.int64]:
        """One number for each combination of the decisions a part depends on."""
        decisions = self._decisions[part]
        weights = np.ones(len(decisions), dtype=np.int64)
        weights[1:] = np.cumprod(self._radices[decisions])[:-1]
        codes: NDArray[np.int64] = choices[:, decisions] @ weights
        return codes

    def _placed(self, part: int, codes: NDArray[np.int64], choices: Codes) -> NDArray[np.int64]:
        places = self._places[part]
        for row in np.flatnonzero(places[codes] < 0).tolist():
            if places[codes[row]] < 0:  # not met with a row before
                self._meet(choices[row])
        return places[codes]

    def _meet(self, choices: NDArray[np.int64]) -> None:
        """Looks at one network, which has one combination of every part."""
        found = self._parts(Architecture(self._space.name, tuple(map(int, choices)), self._resolution_px()))
        for part, name in enumerate(self.names):
            entries = found.get(name, ())
            code = int(self._codes(part, choices[None])[0])
            known = int(self._places[part][code])
            if known < 0:
                known = self._places[part][code] = len(self.entries[part])
                self.entries[part].append(entries)
            if self.entries[part][known] != entries or found.keys() - set(self.names):
                raise FailedPreconditionError(
                    f"'{name}' of space '{self._space.name}' depends on more decisions than were found out: "
                    "predict its networks with LatencyModel.predict."
                )

    def _found_out(self) -> tuple[tuple[str, ...], list[set[int]]]:
        rng = Random(0)
        decisions: dict[str, set[int]] = {}
        for base in (self._space.sample(rng) for _ in range(_PROBED_NETWORKS)):
            before = self._parts(base)
            for name in before:
                decisions.setdefault(name, set())
            for decision, count in enumerate(self._space.option_counts):
                for option in rng.sample(range(count), min(count, _PROBED_OPTIONS)):
                    after = self._parts(_changed(base, decision, option))
                    for name in {*before, *after}:
                        if before.get(name) != after.get(name):
                            decisions.setdefault(name, set()).add(decision)
        names = tuple(sorted(decisions))
        return names, [decisions[name] for name in names]

    def _parts(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """The entries of each part, sorted."""
        graph = self._space.graph(architecture)
        entries = self._counts.of_graph(graph)
        names: dict[int, str] = {}
        for node in graph.nodes:
            names.setdefault(node.block, node.name.partition(".")[0])
        blocks = sorted((names[block], entry) for block, entry in enumerate(entries))
        return {
            name: tuple(entry for _, entry in group) for name, group in groupby(blocks, lambda one: one[0])
        }

    def _resolution_px(self) -> int:
        return self._space.reference.resolution_px


def _changed(base: Architecture, decision: int, option: int) -> Architecture:
    choices: Sequence[int] = (*base.choices[:decision], option, *base.choices[decision + 1 :])
    return Architecture(base.space, tuple(choices), base.resolution_px)
