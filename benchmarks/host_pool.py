"""What ``latency_pool.py`` measured, at the reference's usual speed."""

__all__ = ["HostPool", "read_host_pool"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from latency_pool import PoolLine, read_pool
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of


@dataclass(frozen=True, slots=True)
class HostPool:
    """Networks of one space in one runtime.

    Attributes:
        latency_ms: Shape ``(N,)``, at the mean speed of all batches.
        reference_ms: The reference's.
        blocks_ms: By the block's key, measured alone.
        call_ms: A call of next to nothing.
        halves_gap: Median relative difference of a network between two halves of its turns.
        batches_spread: Standard deviation of the batches' speeds, relative.
    """

    space: SearchSpace
    networks: tuple[Architecture, ...]
    latency_ms: NDArray[np.float64]
    reference_ms: float
    blocks_ms: dict[str, float]
    call_ms: float
    halves_gap: float
    batches_spread: float


def read_host_pool(path: Path, space_name: str) -> HostPool:
    """Raises InvalidArgumentError when the file is not there or lacks a kind of line."""
    lines, space = read_pool(path), space_of(space_name)
    if {one.kind for one in lines} != {"anchor", "network", "block", "call"}:
        raise InvalidArgumentError(f"'{path}' is no whole pool: make it with benchmarks/latency_pool.py.")
    speeds = _batch_speeds(lines)
    usual_ms = {(one.kind, one.key): one.latency_ms / speeds[one.batch] for one in lines}
    networks = [one for one in lines if one.kind == "network"]
    gaps = [abs(one.first_ms / one.second_ms - 1.0) for one in networks]
    return HostPool(
        space,
        tuple(space.canonical(space.parse(one.key)) for one in networks),
        np.array([usual_ms["network", one.key] for one in networks]),
        usual_ms["anchor", space.format(space.canonical(space.reference))],
        {key: value for (kind, key), value in usual_ms.items() if kind == "block"},
        usual_ms["call", ""],
        median(gaps),
        float(np.std(list(speeds.values()))),
    )


def _batch_speeds(lines: Sequence[PoolLine]) -> dict[int, float]:
    """By batch, how much slower than on average its anchors were."""
    logs: dict[str, dict[int, float]] = {}
    for one in lines:
        if one.kind == "anchor":
            logs.setdefault(one.key, {})[one.batch] = float(np.log(one.latency_ms))
    means = {key: float(np.mean(list(values.values()))) for key, values in logs.items()}
    batches = {one.batch for one in lines}
    return {
        batch: float(np.exp(np.mean([values[batch] - means[key] for key, values in logs.items()])))
        for batch in batches
    }
