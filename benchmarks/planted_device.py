"""A simulated device with a slow state."""

__all__ = ["PlantedDevice"]

from collections.abc import Iterator

import numpy as np

from fleetnas_latency.plan import RunTimes

_NOISE = 0.01
_NOISE_COUNT = 4096


class PlantedDevice:
    """Its time passes only while a network runs.

    Args:
        slower: Latency in the slow state over that in the usual one.
        share: Part of the time in the slow state; 0: never.
        stay_s: Mean stay in a state, over both.
    """

    def __init__(self, slower: float, share: float, stay_s: float, rng: np.random.Generator) -> None:
        self.now_s = 0.0
        self.slow_s = 0.0
        self.slower = slower
        self._share = share
        self._stay_s = stay_s
        self._rng = rng
        self._slow = False
        self._switch_s = self._stay()
        self._noise = self._factors()

    def clock(self) -> float:
        return self.now_s

    def load(self, latency_ms: float, unlike: float = 0.0) -> "PlantedNetwork":
        """A network of that latency in the usual state.

        Args:
            unlike: By how much more than others the slow state slows it, relatively.
        """
        return PlantedNetwork(self, latency_ms, self.slower + unlike)

    def pass_time(self, latency_ms: float, slower: float) -> None:
        while self._share and self.now_s >= self._switch_s:
            self._slow = not self._slow
            self._switch_s += self._stay()
        duration_s = latency_ms * (slower if self._slow else 1.0) * next(self._noise) / 1e3
        self.now_s += duration_s
        self.slow_s += duration_s if self._slow else 0.0

    def _stay(self) -> float:
        share = self._share if self._slow else 1.0 - self._share
        return float(self._rng.exponential(2.0 * share * self._stay_s))

    def _factors(self) -> Iterator[float]:
        while True:
            yield from np.exp(_NOISE * self._rng.standard_normal(_NOISE_COUNT)).tolist()


class PlantedNetwork:
    """A ``plan.Runner``."""

    def __init__(self, device: PlantedDevice, latency_ms: float, slower: float) -> None:
        self._device = device
        self._latency_ms = latency_ms
        self._slower = slower

    def run(self, count: int = 1) -> RunTimes:
        begin_s = self._device.now_s
        for _ in range(count):
            self._device.pass_time(self._latency_ms, self._slower)
        duration_ms = (self._device.now_s - begin_s) * 1e3 / count
        return RunTimes(duration_ms, duration_ms)
