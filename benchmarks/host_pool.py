"""What ``latency_pool.py`` measured, at the reference's usual speed."""

__all__ = ["HostPool", "read_host_pool"]

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from latency_pool import read_pool
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of


@dataclass(frozen=True, slots=True)
class HostPool:
    """Networks of one space in one runtime.

    Attributes:
        latency_ms: Shape ``(N,)``: share of the reference in the same batch, times the reference's median.
        reference_ms: The reference's median over the batches.
        blocks_ms: By the block's key, measured alone.
        call_ms: A call of next to nothing.
        halves_gap: Median relative difference of a network between two halves of its turns.
    """

    space: SearchSpace
    networks: tuple[Architecture, ...]
    latency_ms: NDArray[np.float64]
    reference_ms: float
    blocks_ms: dict[str, float]
    call_ms: float
    halves_gap: float


def read_host_pool(path: Path, space_name: str) -> HostPool:
    """Raises InvalidArgumentError when the file is not there or lacks a kind of line."""
    lines, space = read_pool(path), space_of(space_name)
    if {one.kind for one in lines} != {"network", "block", "call"}:
        raise InvalidArgumentError(f"'{path}' is no whole pool: make it with benchmarks/latency_pool.py.")
    reference_ms = median(one.reference_ms for one in lines)
    usual_ms = {(one.kind, one.key): one.lowest_ms / one.reference_ms * reference_ms for one in lines}
    networks = [one for one in lines if one.kind == "network"]
    gaps = [
        one.first_ms / one.reference_first_ms / (one.second_ms / one.reference_second_ms) - 1.0 for one in networks
    ]
    return HostPool(
        space,
        tuple(space.canonical(space.parse(one.key)) for one in networks),
        np.array([usual_ms["network", one.key] for one in networks]),
        reference_ms,
        {key: value for (kind, key), value in usual_ms.items() if kind == "block"},
        usual_ms["call", ""],
        float(np.median(np.abs(gaps))),
    )
