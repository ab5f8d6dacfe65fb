"""Spaces that are chains of blocks: a network is the blocks it runs."""

__all__ = ["ChainStructure"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.block_counts import BlockCounts
from fleetnas_latency.few_shot.structure import Hypothesis
from fleetnas_latency.operator_text import operator_key
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.operators import Operator


class ChainStructure:
    """One hypothesis: every block of the canonical network's graph, equal blocks sharing an entry.

    Blocks are met as ``rows`` is asked for them, so the entries grow; ask for all networks of interest first.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._counts = BlockCounts(space)

    @property
    def space(self) -> SearchSpace:
        return self._space

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        count = self._counts.entry_count
        return (Hypothesis("blocks", 1.0, count, count),)

    @property
    def entry_names(self) -> tuple[str, ...]:
        return ("overhead", *map(operator_key, self._counts.blocks))

    @property
    def operators(self) -> tuple[Operator | None, ...]:
        return (None, *self._counts.blocks)

    def entries(self, architecture: Architecture) -> tuple[int, ...]:
        """The entries of the blocks that ``architecture`` runs, in order, repeats included."""
        return self._counts.entries(architecture)

    def rows(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return self._counts.matrix(architectures)[None]

    def features(self) -> NDArray[np.float64]:
        return self._counts.features()

    def extra_prior(self, base_mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.zeros(0), np.zeros(0)
