"""Architectures as counts of the blocks they run: the rows of the latency regression."""

__all__ = ["BlockCounts"]

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import BlockCost, block_costs
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Operator

FEATURES = ("convolution_macs", "depthwise_macs", "bytes_moved", "one")


class BlockCounts:
    """Remembers every block it has met and every architecture's counts.

    Entry 0 is the overhead that each network has once; blocks follow in the order they were met.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._index: dict[Operator, int] = {}
        self._features: list[tuple[float, ...]] = []
        self._canonical: dict[Architecture, Architecture] = {}
        self._rows: dict[Architecture, tuple[int, ...]] = {}

    @property
    def entry_count(self) -> int:
        """Blocks met so far, and the overhead."""
        return len(self._features) + 1

    @property
    def blocks(self) -> tuple[Operator, ...]:
        """Block ``k`` is entry ``k + 1``."""
        return tuple(self._index)

    def features(self) -> NDArray[np.float64]:
        """Shape ``(entries, 4)``, in the order of ``FEATURES``; all 0 for the overhead."""
        return np.array([(0.0,) * len(FEATURES), *self._features])

    def entries(self, architecture: Architecture) -> tuple[int, ...]:
        """The entries of the blocks that ``architecture`` runs, in order, repeats included."""
        canonical = self.canonical(architecture)
        known = self._rows.get(canonical)
        if known is None:
            known = self.of_graph(self._space.graph(canonical))
            self._rows[canonical] = known
        return known

    def canonical(self, architecture: Architecture) -> Architecture:
        """``SearchSpace.canonical``, remembered: it was half the cost of predicting known networks again."""
        known = self._canonical.get(architecture)
        if known is None:
            known = self._space.canonical(architecture)
            self._canonical[architecture] = known
        return known

    def matrix(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Shape ``(len(architectures), entries)``: how often each runs each entry."""
        rows = [self.entries(one) for one in architectures]
        width = self.entry_count
        owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        places = owner * width + np.fromiter(chain.from_iterable(rows), np.int64)
        counts = np.bincount(places, minlength=len(rows) * width).reshape(len(rows), width).astype(float)
        counts[:, 0] = 1.0
        return counts

    def of_graph(self, graph: Graph) -> tuple[int, ...]:
        """The entries of a graph's blocks, in order; blocks not met before become entries."""
        if not self._index.keys() >= set(graph.blocks):
            for block, cost in zip(graph.blocks, block_costs(graph), strict=True):
                if block not in self._index:
                    self._index[block] = len(self._features) + 1
                    self._features.append(_sizes(cost))
        return tuple(self._index[block] for block in graph.blocks)


def _sizes(cost: BlockCost) -> tuple[float, ...]:
    return float(cost.macs - cost.depthwise_macs), float(cost.depthwise_macs), float(cost.bytes_moved), 1.0
