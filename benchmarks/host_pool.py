"""What ``latency_pool.py`` measured, as if all of it had been measured at the machine's mean speed.

A busy machine slows large networks more than small ones, or less, from batch to batch. So each batch has a line that
takes its anchors' logarithmic latencies to their means over all batches, fitted by medians. On NAS-Bench-Macro the
anchors then repeat to 0.5 % instead of 1.2 % and the best additive model errs by 1.3 % instead of 1.6 %.
"""

__all__ = ["HostPool", "read_host_pool"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from latency_pool import PoolLine, read_pool
from numpy.typing import NDArray
from scipy.stats import siegelslopes

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of


@dataclass(frozen=True, slots=True)
class HostPool:
    """Networks of one space in one runtime.

    Attributes:
        latency_ms: Shape ``(N,)``.
        reference_ms: The reference's.
        blocks_ms: By the block's key, measured alone.
        call_ms: A call of next to nothing.
        halves_gap: Median relative difference of a network between two halves of its turns.
        repeat_gap: Median relative difference of an anchor in one batch to its mean over all batches.
    """

    space: SearchSpace
    networks: tuple[Architecture, ...]
    latency_ms: NDArray[np.float64]
    reference_ms: float
    blocks_ms: dict[str, float]
    call_ms: float
    halves_gap: float
    repeat_gap: float


def read_host_pool(path: Path, space_name: str) -> HostPool:
    """Raises InvalidArgumentError when the file is not there or lacks a kind of line."""
    lines, space = read_pool(path), space_of(space_name)
    if {one.kind for one in lines} != {"anchor", "network", "block", "call"}:
        raise InvalidArgumentError(f"'{path}' is no whole pool: make it with benchmarks/latency_pool.py.")
    lines_of = _batch_lines(lines)
    usual_ms = {(one.kind, one.key): _usual_ms(one, lines_of[one.batch]) for one in lines}
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
        _repeat_gap(lines, lines_of),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """Logarithmic latency in a batch -> the usual one. Blocks lie far below the anchors, they are only shifted."""

    slope: float
    intercept: float
    shift: float


def _batch_lines(lines: Sequence[PoolLine]) -> dict[int, _Line]:
    logs: dict[int, dict[str, float]] = {}
    for one in lines:
        if one.kind == "anchor":
            logs.setdefault(one.batch, {})[one.key] = float(np.log(one.latency_ms))
    means = {
        key: float(np.mean([batch[key] for batch in logs.values()])) for key in next(iter(logs.values()))
    }
    found = {}
    for number, batch in logs.items():
        seen, usual = np.array(list(batch.values())), np.array([means[key] for key in batch])
        slope, intercept = siegelslopes(usual, seen)
        found[number] = _Line(float(slope), float(intercept), float(np.median(usual - seen)))
    return found


def _usual_ms(one: PoolLine, line: _Line) -> float:
    if one.kind in ("network", "anchor"):
        return float(np.exp(line.slope * np.log(one.latency_ms) + line.intercept))
    return float(one.latency_ms * np.exp(line.shift))


def _repeat_gap(lines: Sequence[PoolLine], lines_of: dict[int, _Line]) -> float:
    usual: dict[str, list[float]] = {}
    for one in lines:
        if one.kind == "anchor":
            usual.setdefault(one.key, []).append(_usual_ms(one, lines_of[one.batch]))
    return float(np.median([abs(value / np.mean(seen) - 1.0) for seen in usual.values() for value in seen]))
