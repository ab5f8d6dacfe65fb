"""A CSV of latencies as what the few-shot benchmark needs: design rows, devices, sources. No order of the file."""

__all__ = ["LatencyColumns", "read_latency_csv", "structure_of"]

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.structure import Structure
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError, near_names


@dataclass(frozen=True, slots=True)
class LatencyColumns:
    """Networks, sorted by their code, and their latencies on each device.

    Attributes:
        rows: Shape ``(H, N, K)``, the structure's.
        choices: Shape ``(N, decisions)``.
        latency_ms: By device, shape ``(N,)``; NaN where the file has no number.
    """

    architectures: tuple[Architecture, ...]
    rows: NDArray[np.float64]
    choices: NDArray[np.int64]
    latency_ms: dict[str, NDArray[np.float64]]


def structure_of(space: SearchSpace) -> Structure:
    return CellStructure(space) if space.name == "nas-bench-201" else ChainStructure(space)


def read_latency_csv(path: Path, structure: Structure, arch_column: str) -> LatencyColumns:
    """Every column of numbers but ``arch_column`` is a device.

    Raises:
        InvalidArgumentError: No such column, no networks, or a code that is none of the space.
    """
    records = list(csv.DictReader(io.StringIO(_text(path))))
    if not records or arch_column not in records[0]:
        names = list(records[0]) if records else []
        raise InvalidArgumentError(
            f"'{path}' has no column '{arch_column}'; {near_names(arch_column, names)}"
        )
    space = structure.space
    parsed = [(space.parse(record[arch_column]), record) for record in records]
    known = sorted(parsed, key=lambda one: (one[0], *one[1].values()))
    architectures = tuple(one for one, _ in known)
    latency_ms = {
        name: np.array([_number(record[name]) for _, record in known])
        for name in records[0]
        if name != arch_column and _is_numeric(records, name)
    }
    choices = np.array([one.choices for one in architectures])
    return LatencyColumns(architectures, structure.rows(architectures), choices, latency_ms)


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _is_numeric(records: Sequence[dict[str, str]], name: str) -> bool:
    return any(np.isfinite(_number(record[name])) for record in records[:50])
