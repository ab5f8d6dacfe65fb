"""What a runtime may execute of an architecture: one design matrix for each hypothesis."""

__all__ = ["Hypothesis", "Structure", "check_rows"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.operators import Operator


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way a runtime may treat a network, e.g. running branches that lead nowhere.

    Attributes:
        weight: How likely it is before anything was measured; the weights of a structure sum to 1.
        entry_count: Entries of its rows that are in use, the overhead included; the others are 0.
        base_count: The first of these, which mean the same under every hypothesis: costs of executed operators.
    """

    name: str
    weight: float
    entry_count: int
    base_count: int


class Structure(Protocol):
    """Turns the architectures of one space into rows whose product with the entries' costs is a latency."""

    @property
    def space(self) -> SearchSpace: ...

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]: ...

    @property
    def entry_names(self) -> tuple[str, ...]:
        """Of the base entries, the overhead first."""
        ...

    @property
    def operators(self) -> tuple[Operator | None, ...]:
        """The block behind each base entry; None for the overhead and for what is no single block."""
        ...

    def rows(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Shape ``(hypotheses, len(architectures), entries)``, entry 0 is 1 wherever something runs."""
        ...

    def features(self) -> NDArray[np.float64]:
        """Shape ``(base entries, F)``: sizes of what an entry stands for; row 0, the overhead's, is zero."""
        ...

    def extra_prior(self, base_mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the entries behind the base ones.

        Args:
            base_mean: Shape ``(base entries,)``.

        Returns:
            Two arrays of the shape ``(entries - base entries,)``; a deviation of 0 leaves an entry out.
        """
        ...


def check_rows(rows: NDArray[np.float64], hypotheses: Sequence[Hypothesis]) -> None:
    """Raises ValueError when a structure breaks its own promise; its contract test calls this."""
    if rows.shape[0] != len(hypotheses) or rows.shape[2] != max(one.entry_count for one in hypotheses):
        raise ValueError(f"rows of shape {rows.shape} do not fit {len(hypotheses)} hypotheses.")
    for row, one in zip(rows, hypotheses, strict=True):
        if row[:, one.entry_count :].any():
            raise ValueError(f"hypothesis '{one.name}' uses entries beyond its {one.entry_count}.")
