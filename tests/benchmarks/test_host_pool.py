"""A pool measured on a machine whose speed changes from batch to batch, and what is made of it."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fleetnas_search_spaces.errors import InvalidArgumentError

FOLDER = Path(__file__).parents[2] / "benchmarks"
ANCHORS = {"22222222": 3.0, "00000000": 0.8, "10101010": 1.2}
SPEEDS = {0: (1.0, 1.0), 1: (1.2, 1.05), 2: (0.9, 0.97)}


@pytest.fixture
def host_pool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("host_pool", "latency_pool", "single_blocks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("host_pool")


def _seen_ms(true_ms: float, batch: int) -> float:
    """A batch slows everything by a factor, and large networks more."""
    factor, power = SPEEDS[batch]
    return factor * true_ms**power


def _write(path: Path, kinds: tuple[str, ...] = ("anchor", "network", "block", "call")) -> None:
    lines = [("anchor", key, batch, _seen_ms(ms, batch)) for batch in SPEEDS for key, ms in ANCHORS.items()]
    lines += [("network", f"{batch}1111111", batch, _seen_ms(2.0, batch)) for batch in SPEEDS]
    lines += [("block", "conv/x", 0, 0.5), ("call", "", 0, 0.01)]
    rows = [f"{kind},{key},{batch},{ms},{ms},{1.02 * ms}" for kind, key, batch, ms in lines if kind in kinds]
    path.write_text("\n".join(["kind,key,batch,latency_ms,first_ms,second_ms", *rows, ""]))


def test_networks_of_fast_and_slow_batches_become_comparable(host_pool: ModuleType, tmp_path: Path) -> None:
    _write(tmp_path / "pool.csv")
    found = host_pool.read_host_pool(tmp_path / "pool.csv", "nas-bench-macro")
    assert np.ptp(found.latency_ms) < 1e-6 * found.latency_ms.mean()
    assert found.repeat_gap < 1e-6
    assert found.halves_gap == pytest.approx(1 - 1 / 1.02)
    assert set(found.blocks_ms) == {"conv/x"}


def test_pool_that_is_not_whole_is_refused(host_pool: ModuleType, tmp_path: Path) -> None:
    _write(tmp_path / "pool.csv", ("anchor", "network"))
    with pytest.raises(InvalidArgumentError, match="no whole pool"):
        host_pool.read_host_pool(tmp_path / "pool.csv", "nas-bench-macro")
