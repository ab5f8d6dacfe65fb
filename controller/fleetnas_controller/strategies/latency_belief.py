"""What a strategy believes about latencies it has not measured."""

__all__ = ["BELIEFS", "BlockLatency", "GaussianLatency", "LatencyBelief"]

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
_ENOUGH, _LOWEST = 7, 2.5
"""From so many readings on, none enters lower than this under their median, in logarithms."""


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

    def believing(self, architectures: Sequence[Architecture]) -> AbstractContextManager[None]:
        """Inside, each was measured once more and came out as predicted."""
        ...


class GaussianLatency:
    """A Gaussian process on the logarithm of the milliseconds, over the space's features of what is executed.

    A network's own readings enter as its own, through the per-architecture term. Before the first reading nothing
    is known, and every cap is as likely kept as broken. A reading far under all others (a published table has
    202 cells that were cut off from their input) would bend the whole model, so it enters as less extreme.
    """

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._candidates = candidates
        self._log_limit = math.log(limit_ms)
        self._seen: list[float] = []
        self._model: PoolModel | None = None

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        value = max(reading.value, _LEAST_MS)
        logarithm = math.log(value)
        self._seen.append(logarithm)
        if len(self._seen) >= _ENOUGH:
            logarithm = max(logarithm, statistics.median(self._seen) - _LOWEST)
        if self._model is None:  # a first reading without any error comes from a table that has none
            pool, noisy = self._candidates, reading.std > 0.0
            self._model = PoolModel(pool.executed, pool.ids, noisy=noisy, fine=_FINE, focus=self._log_limit)
        features = self._candidates.executing([architecture])[0]
        number = self._candidates.number(architecture)
        self._model.observe(features, number, logarithm, (reading.std / value) ** 2)

    def replace(self, change: Change) -> None:
        if self._model is not None:
            self._model.replace(change.columns, change.executed, change.ids)

    def believing(self, architectures: Sequence[Architecture]) -> AbstractContextManager[None]:
        if not architectures or self._model is None:
            return nullcontext()
        numbers = [self._candidates.number(one) for one in architectures]
        return self._model.believing(self._candidates.executing(architectures), numbers)

    def log_ms(self) -> tuple[Floats, Floats]:
        if self._model is None:
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

    def believing(self, architectures: Sequence[Architecture]) -> AbstractContextManager[None]:
        """Changes nothing: a fit for each pending network would cost more than it helps."""
        return nullcontext()

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
