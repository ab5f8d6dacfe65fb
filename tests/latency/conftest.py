"""A simulated device: its time passes only when a network runs on it."""

from collections.abc import Callable

import pytest

from fleetnas_latency.plan import RunTimes

Cost = Callable[[float, int], tuple[float, float]]


class SimulatedDevice:
    """Its clock, and the networks loaded on it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.tick_ms = 1e-6

    def clock(self) -> float:
        return self.now_s

    def load(self, cost: Cost) -> "SimulatedRunner":
        """A network; ``cost(seconds since start, index of the inference)`` is its true (wall, CPU) milliseconds."""
        return SimulatedRunner(self, cost)


class SimulatedRunner:
    def __init__(self, device: SimulatedDevice, cost: Cost) -> None:
        self._device = device
        self._cost = cost
        self.calls: list[int] = []
        self._inference_count = 0

    def run(self, count: int) -> RunTimes:
        self.calls.append(count)
        wall_ms = cpu_ms = 0.0
        start_ms = self._device.now_s * 1e3
        for _ in range(count):
            wall, cpu = self._cost(self._device.now_s, self._inference_count)
            self._inference_count += 1
            wall_ms, cpu_ms = wall_ms + wall, cpu_ms + cpu
            self._device.now_s += wall * 1e-3
        end_ms, tick_ms = start_ms + wall_ms, self._device.tick_ms
        read_ms = (end_ms // tick_ms - start_ms // tick_ms) * tick_ms
        return RunTimes(read_ms / count, cpu_ms / count)


@pytest.fixture
def device() -> SimulatedDevice:
    return SimulatedDevice()
