"""An architecture, and what every search space can do with it."""

__all__ = ["Architecture", "SearchSpace"]

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.graph import Graph


@dataclass(frozen=True, slots=True, order=True)
class Architecture:
    """One point of a search space.

    Attributes:
        space: Name of the space the choices belong to, e.g. ``"mobilenet-v2"``.
        choices: Index of the option taken at each decision, in the space's order.
        resolution_px: Side of the square input image, in pixels.
    """

    space: str
    choices: tuple[int, ...]
    resolution_px: int

    @property
    def key(self) -> str:
        """Text that is the same on every machine: ``"nas-bench-macro/32/2,2,2,2,2,2,2,2"``.

        Only keys of *canonical* architectures (``SearchSpace.canonical``) may be compared or stored.
        """
        return f"{self.space}/{self.resolution_px}/{','.join(map(str, self.choices))}"


@runtime_checkable
class SearchSpace(Protocol):
    """A set of architectures and the way each becomes a graph.

    Users register their own by the entry-point group ``fleetnas.search_spaces``;
    ``tests/search_spaces`` holds the contract that each must pass.
    """

    @property
    def name(self) -> str: ...

    @property
    def option_counts(self) -> Sequence[int]:
        """How many options each decision has; its length is the number of decisions."""
        ...

    @property
    def reference(self) -> Architecture:
        """The hand-made network of this space that a search has to beat."""
        ...

    def sample(self, rng: Random) -> Architecture:
        """Draws every decision uniformly; not canonicalised."""
        ...

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        """Returns a neighbour that differs from ``parent`` in exactly one choice; not canonicalised."""
        ...

    def canonical(self, architecture: Architecture) -> Architecture:
        """The one representative of all architectures that compute the same function. Idempotent."""
        ...

    def parse(self, text: str) -> Architecture:
        """Reads what ``format`` writes, and the token lists published for the space.

        Raises:
            InvalidArgumentError: Wrong length, a value out of range, or no numbers at all.
        """
        ...

    def format(self, architecture: Architecture) -> str:
        """The short text form that people paste into the command line."""
        ...

    def graph(self, architecture: Architecture) -> Graph:
        """The operators that run, with their shapes. No dead operator, no no-op."""
        ...

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Named numbers that know the space, for the accuracy predictor.

        Returns:
            Shape ``(len(architectures), F)``, not standardised, finite.
        """
        ...
