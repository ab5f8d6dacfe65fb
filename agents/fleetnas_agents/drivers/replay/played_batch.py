"""Networks that take turns on a played device, whose time passes only when one of them runs."""

__all__ = ["PlayedDevice"]

import math
from collections.abc import Sequence
from random import Random

from fleetnas_latency.measurement import AnchorDrift, Plan, RawMeasurement, measure_anchored, measure_batch
from fleetnas_latency.plan import RunTimes


class PlayedDevice:
    """Measures by the same rules as a real device, on a clock of its own.

    Args:
        noise: Standard deviation of a run's log latency.
        drifts: By how much it becomes slower for good once the networks run, in the first try and in each repeat,
            relative; none in further ones.
    """

    def __init__(self, noise: float, rng: Random, drifts: Sequence[float] = ()) -> None:
        self.speed = 1.0
        self._noise = noise
        self._rng = rng
        self._now_s = 0.0
        self._drifts = list(drifts)
        self._has_drifted = False

    def measure(
        self, latencies_ms: Sequence[float], anchor_ms: float | None, plan: Plan
    ) -> tuple[Sequence[RawMeasurement], AnchorDrift | None]:
        """As a real device's batch; no time of ours passes but what the sums take."""
        networks = [_PlayedNetwork(self, one, drifts=True) for one in latencies_ms]
        if anchor_ms is None:
            return measure_batch(networks, None, plan, self._clock, self._rng), None
        anchor = _PlayedNetwork(self, anchor_ms)
        return measure_anchored(networks, anchor, plan, self._clock, self._rng, self._rest)

    def drift(self) -> None:
        """Once in each try."""
        if self._drifts and not self._has_drifted:
            self.speed *= 1.0 + self._drifts.pop(0)
        self._has_drifted = True

    def spend(self, latency_ms: float, count: int) -> float:
        """One timed loop; returns the milliseconds of one inference."""
        wall_ms = latency_ms * self.speed * math.exp(self._rng.gauss(0.0, self._noise))
        self._now_s += wall_ms * count / 1e3
        return wall_ms

    def _clock(self) -> float:
        return self._now_s

    def _rest(self, duration_s: float) -> None:
        self._now_s += duration_s
        self._has_drifted = False


class _PlayedNetwork:
    """A ``plan.Runner``. ``drifts``: whether the device's drift strikes when it runs."""

    def __init__(self, device: PlayedDevice, latency_ms: float, *, drifts: bool = False) -> None:
        self._device = device
        self._latency_ms = latency_ms
        self._drifts = drifts

    def run(self, count: int) -> RunTimes:
        if self._drifts:
            self._device.drift()
        wall_ms = self._device.spend(self._latency_ms, count)
        return RunTimes(wall_ms, wall_ms)
