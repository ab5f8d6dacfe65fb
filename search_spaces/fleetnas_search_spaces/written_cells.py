"""NAS-Bench-201 with every code a network of its own, for devices that run edges which lead nowhere."""

__all__ = ["RunsMore", "WrittenCells"]

from collections.abc import Sequence
from random import Random
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cell_201 import OPERATION_NAMES, backward_live, forward_live, zero_folded
from fleetnas_search_spaces.choices import check_architecture
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.nas_bench_201 import NASBench201

_WORK = np.array([[0.0, 1.0, 9.0, 0.0], [0.2, 1.0, 4.0, 1.0]])
"""Skip, convolution 1 x 1, 3 x 3, pooling: in multiplications, and as a device limited by its memory feels them."""


@runtime_checkable
class RunsMore(Protocol):
    """A space whose latencies hang on more than what its networks compute."""

    def executed(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Features for latency, shape ``(len(architectures), F)``; ``SearchSpace.features`` are for accuracy."""
        ...


class WrittenCells:
    """The 15,625 codes of ``nas-bench-201`` as written.

    Accuracy follows what a cell computes, so its features are those of the canonical cell. Published phone latencies
    follow what is executed: cells that compute the same differ by 24 % (median coefficient of variation on three
    phones), because some runtimes run edges from which nothing comes or to which nothing leads.
    """

    def __init__(self) -> None:
        self._cells = NASBench201()
        self.name = self._cells.name
        self.option_counts = self._cells.option_counts
        self.reference = self._cells.reference

    def sample(self, rng: Random) -> Architecture:
        return self._cells.sample(rng)

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        return self._cells.mutate(parent, rng)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Itself: no two codes are the same to a device."""
        check_architecture(architecture, self)
        return architecture

    def parse(self, text: str) -> Architecture:
        return self._cells.parse(text)

    def format(self, architecture: Architecture) -> str:
        return self._cells.format(architecture)

    def graph(self, architecture: Architecture) -> Graph:
        return self._cells.graph(architecture)

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return self._cells.features(architectures)

    def executed(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """How often each operation runs if all edges run, those that reach the output, those reached from the input,
        those that are both, those of ``zero_folded``, and the logarithms of the work that this is: 20 and 10 numbers.

        A model finds out which of them a device goes by. With the logarithms a Gaussian process on log milliseconds
        errs by .109/.099 instead of .124/.106 on samsung_a50 after 50/100 networks, .33/.32 for .39/.35 on pixel3;
        there the folded zeros bring .30/.26.
        """
        counts = np.array([_executed(one.choices) for one in architectures], dtype=float)
        work = np.log1p(counts.reshape(len(counts), -1, _WORK.shape[1]) @ _WORK.T)
        return np.concatenate([counts, work.reshape(len(counts), -1)], axis=1)


def _executed(choices: Sequence[int]) -> list[int]:
    forward, backward = forward_live(choices), backward_live(choices)
    both = [a and b for a, b in zip(forward, backward, strict=True)]
    return [
        sum(lives for lives, choice in zip(alive, choices, strict=True) if choice == operation)
        for alive in ((True,) * len(choices), backward, forward, both, zero_folded(choices))
        for operation in range(1, len(OPERATION_NAMES))
    ]
