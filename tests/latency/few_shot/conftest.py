"""Devices that exist on paper: operator costs, what they execute, and the noise of their clocks."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.nas_bench_201 import NASBench201

Floats = NDArray[np.float64]
Device = Callable[[str, int], Floats]

SPACE = NASBench201()
COSTS_MS = np.array([3.0, -0.1, 1.5, 4.0, 0.5])  # overhead, skip, 1 x 1, 3 x 3, pooling
CONV_3 = 4.0


@pytest.fixture(scope="session")
def structure() -> CellStructure:
    return CellStructure(SPACE)


@pytest.fixture(scope="session")
def cells() -> tuple[Architecture, ...]:
    """3,000 cells, in random order."""
    order = np.random.default_rng(0).permutation(5**6)[:3000]
    digits = np.stack([(order // 5**place) % 5 for place in range(6)], axis=1)
    return tuple(Architecture(SPACE.name, tuple(map(int, one)), 32) for one in digits)


@pytest.fixture(scope="session")
def rows(structure: CellStructure, cells: tuple[Architecture, ...]) -> Floats:
    return structure.rows(cells)


@pytest.fixture(scope="session")
def device(structure: CellStructure, rows: Floats) -> Device:
    """Latencies of all ``cells`` where a hypothesis is the truth, with noise of 2 % and its outliers."""
    names = [one.name for one in structure.hypotheses]

    def latency_ms(hypothesis: str, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        costs = COSTS_MS * rng.lognormal(0.0, 0.15, 5)
        true_ms = rows[names.index(hypothesis)] @ np.concatenate([costs, [0.3 * CONV_3, 0.4 * CONV_3]])
        return true_ms * (1.0 + 0.02 * np.clip(rng.standard_t(3.0, len(true_ms)), -10.0, 10.0))

    return latency_ms
