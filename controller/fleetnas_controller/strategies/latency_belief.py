"""What a strategy believes about latencies it has not measured."""

__all__ = ["BELIEFS", "BlockLatency", "GaussianLatency", "LatencyBelief"]

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.candidates import Candidates, Change
from fleetnas_controller.strategies.strategy import Reading
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_training.pool_model import PoolModel

Floats = NDArray[np.float64]

_FINE = 0.05
_LEAST_MS = 1e-6


class LatencyBelief(Protocol):
    """One device's latencies over a pool of candidates."""

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        """Learns from a measured network."""
        ...

    def replace(self, change: Change) -> None:
        """Follows the pool."""
        ...

    def log_ms(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the logarithm of the milliseconds, shape ``(M,)`` each."""
        ...


class GaussianLatency:
    """A Gaussian process on the logarithm of the milliseconds, over the space's own features.

    A network's own readings enter as its own, through the per-architecture term. Before the first reading nothing
    is known, and every cap is as likely kept as broken.
    """

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._candidates = candidates
        self._log_limit = math.log(limit_ms)
        self._model = PoolModel(
            candidates.features, candidates.ids, noisy=True, fine=_FINE, focus=self._log_limit
        )

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        value = max(reading.value, _LEAST_MS)
        features = self._candidates.standardised([architecture])[0]
        number = self._candidates.number(architecture)
        self._model.observe(features, number, math.log(value), (reading.std / value) ** 2)

    def replace(self, change: Change) -> None:
        self._model.replace(change.columns, change.features, change.ids)

    def log_ms(self) -> tuple[Floats, Floats]:
        if len(self._model) == 0:
            return np.full(len(self._candidates), self._log_limit), np.ones(len(self._candidates))
        return self._model.mean, np.sqrt(self._model.variance)


class BlockLatency:
    """The latency table's own model: an overhead plus the blocks that run, and a network's own readings."""

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._model = LatencyModel(space)
        self._candidates = candidates
        self._log_limit = math.log(limit_ms)
        self._known: tuple[Floats, Floats] | None = None

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        self._model.observe([architecture], [max(reading.value, _LEAST_MS)], [reading.std])
        self._known = None

    def replace(self, change: Change) -> None:
        self._known = None

    def log_ms(self) -> tuple[Floats, Floats]:
        if self._model.network_count == 0:
            return np.full(len(self._candidates), self._log_limit), np.ones(len(self._candidates))
        if self._known is None:
            predicted = self._model.predict(self._candidates.members)
            mean_ms = np.maximum(predicted.mean_ms, _LEAST_MS)
            self._known = np.log(mean_ms), predicted.std_ms / mean_ms
        return self._known


BELIEFS: Mapping[str, Callable[[SearchSpace, Candidates, float], LatencyBelief]] = {
    "blocks": BlockLatency,
    "features": GaussianLatency,
}
"""By name, each made from a space, a pool and the cap in milliseconds."""
