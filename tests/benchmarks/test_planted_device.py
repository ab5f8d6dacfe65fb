"""The device with a slow state that the drift benchmark plays."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "planted_device", raising=False)
    return import_module("planted_device")


def test_slow_state_takes_its_share_of_the_time(planted: ModuleType) -> None:
    device = planted.PlantedDevice(1.15, 0.25, 1.0, np.random.default_rng(0))
    network = device.load(10.0)
    times = np.array([network.run(1).wall_ms for _ in range(60_000)])
    assert device.slow_s / device.now_s == pytest.approx(0.25, abs=0.04)
    assert np.median(times[times > 10.8]) == pytest.approx(11.5, rel=0.01)
    assert np.median(times[times < 10.8]) == pytest.approx(10.0, rel=0.01)


def test_device_without_a_slow_state_is_steady(planted: ModuleType) -> None:
    device = planted.PlantedDevice(1.15, 0.0, 1.0, np.random.default_rng(0))
    network = device.load(10.0)
    assert max(network.run(1).wall_ms for _ in range(2000)) < 10.8
    assert device.slow_s == 0.0
