"""What a strategy believes about latencies it has not measured."""

__all__ = ["BELIEFS", "BlockLatency", "GaussianLatency", "LatencyBelief", "SwitchingLatency"]

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.candidates import Candidates, Change
from fleetnas_controller.strategies.pool_latency import pool_latency_ms
from fleetnas_controller.strategies.strategy import Reading
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_training.pool_model import PoolModel

Floats = NDArray[np.float64]

_FINE = 0.05
_LEAST_MS = 1e-6
_GROWTH = 1.1
_MOST_NETWORKS = 250
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """A reading; the variance is that of the logarithm."""

    architecture: Architecture
    log_ms: float
    variance: float


class GaussianLatency:
    """A Gaussian process on the logarithm of the milliseconds, over the space's features of what is executed.

    A network's own readings enter as its own, through the per-architecture term. Before the first reading nothing
    is known, and every cap is as likely kept as broken. A reading far under all others (a published table has
    202 cells that were cut off from their input) would bend the whole model, so it enters as less extreme.
    """

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._candidates = candidates
        self._log_limit = math.log(limit_ms)
        self._seen: list[_Seen] = []
        self._model: PoolModel | None = None

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        value = max(reading.value, _LEAST_MS)
        self._seen.append(_Seen(architecture, math.log(value), (reading.std / value) ** 2))
        # The first readings of all, among them the plainest network's, are judged again once there is a median.
        fresh = self._seen if len(self._seen) == _ENOUGH else self._seen[-1:]
        if len(fresh) > 1 or self._model is None:  # a first reading without error: a table that has none
            noisy = self._seen[0].variance > 0.0
            pool = self._candidates
            self._model = PoolModel(pool.executed, pool.ids, noisy=noisy, fine=_FINE, focus=self._log_limit)
        least = -math.inf
        if len(self._seen) >= _ENOUGH:
            least = statistics.median(one.log_ms for one in self._seen) - _LOWEST
        for one in fresh:
            features = self._candidates.executing([one.architecture])[0]
            number = self._candidates.number(one.architecture)
            self._model.observe(features, number, max(one.log_ms, least), one.variance)

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
    """The latency table's own model: an overhead plus the blocks that run, and a network's own readings.

    Fitted anew each time the readings grew by a part, in between one reading at a time; all of it when a reading
    comes in, so that what is believed does not hang on when it is asked for.
    """

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._model = LatencyModel(space)
        self._counts = self._model.block_counts.matrix(candidates.members)
        self._measured = np.full(len(candidates), -1, dtype=np.int64)
        self._candidates = candidates
        self._log_limit = math.log(limit_ms)
        self._next_fit = 0
        self._places: dict[str, int] = {}
        self._known: tuple[Floats, Floats] | None = None

    @property
    def network_count(self) -> int:
        return self._model.network_count

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        value = max(reading.value, _LEAST_MS)
        if self._model.network_count < self._next_fit:
            self._model.update(architecture, value, reading.std)
        else:
            self._model.observe([architecture], [value], [reading.std])
            self._next_fit = math.ceil(_GROWTH * self._model.network_count)
        self._model.fitted()
        place = self._places.setdefault(architecture.key, len(self._places))
        column = self._candidates.column(architecture)
        if column is not None:
            self._measured[column] = place
        self._known = None

    def replace(self, change: Change) -> None:
        arrived = [self._candidates.members[column] for column in change.columns]
        rows = self._model.block_counts.matrix(arrived)
        new_blocks = rows.shape[1] - self._counts.shape[1]
        self._counts = np.pad(self._counts, ((0, 0), (0, new_blocks)))
        self._counts[change.columns] = rows
        self._measured[change.columns] = [self._places.get(one.key, -1) for one in arrived]
        self._known = None

    def believing(self, architectures: Sequence[Architecture]) -> AbstractContextManager[None]:
        """Changes nothing: a fit for each pending network would cost more than it helps."""
        return nullcontext()

    def log_ms(self) -> tuple[Floats, Floats]:
        if self._model.network_count == 0:
            return np.full(len(self._candidates), self._log_limit), np.ones(len(self._candidates))
        if self._known is None:
            mean_ms, std_ms = pool_latency_ms(self._model.fitted(), self._counts, self._measured)
            mean_ms = np.maximum(mean_ms, _LEAST_MS)
            self._known = np.log(mean_ms), std_ms / mean_ms
        return self._known


class SwitchingLatency:
    """Blocks while networks are few, where they are much the better; features once blocks get slow.

    Under a cap on NAS-Bench-Macro regret at 200 evaluations was .024 with blocks and .087 with features, but a fit of
    blocks grows with the cube of the networks: 40 ms at 250, seconds at 1,000.
    """

    def __init__(self, space: SearchSpace, candidates: Candidates, limit_ms: float) -> None:
        self._features = GaussianLatency(space, candidates, limit_ms)
        self._blocks: BlockLatency | None = BlockLatency(space, candidates, limit_ms)

    def observe(self, architecture: Architecture, reading: Reading) -> None:
        self._features.observe(architecture, reading)
        if self._blocks is not None:
            self._blocks.observe(architecture, reading)
            if self._blocks.network_count >= _MOST_NETWORKS:
                self._blocks = None

    def replace(self, change: Change) -> None:
        self._features.replace(change)
        if self._blocks is not None:
            self._blocks.replace(change)

    def believing(self, architectures: Sequence[Architecture]) -> AbstractContextManager[None]:
        return (self._blocks or self._features).believing(architectures)

    def log_ms(self) -> tuple[Floats, Floats]:
        return (self._blocks or self._features).log_ms()


BELIEFS: Mapping[str, Callable[[SearchSpace, Candidates, float], LatencyBelief]] = {
    "blocks": BlockLatency,
    "features": GaussianLatency,
    "switching": SwitchingLatency,
}
"""By name, each made from a space, a pool and the cap in milliseconds."""
