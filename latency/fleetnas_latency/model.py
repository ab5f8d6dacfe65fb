"""The learned latency of a space on one target: Bayesian linear regression over blocks."""

__all__ = ["BlockShare", "EntryCoverage", "LatencyModel", "Prediction"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fleetnas_latency.block_counts import BlockCounts
from fleetnas_latency.block_prior import Prior
from fleetnas_latency.observed import Observed
from fleetnas_latency.regression import Posterior, fit
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.operators import Operator

_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Prediction:
    """Latencies with their uncertainty.

    Attributes:
        mean_ms, std_ms: Shape ``(N,)``; the standard deviation is that of the network's true latency, what the
            blocks do not explain included.
        factor: Shape ``(N,)``, of a guess, whose error is a factor: 95 % of the latencies lie between the mean, which
            is then a median, over it and times it. None: the error is a sum.
    """

    mean_ms: NDArray[np.float64]
    std_ms: NDArray[np.float64]
    factor: NDArray[np.float64] | None = None

    @property
    def low_ms(self) -> NDArray[np.float64]:
        """Lower end of the 95 % interval, shape ``(N,)``."""
        return self.mean_ms - _NORMAL_95 * self.std_ms if self.factor is None else self.mean_ms / self.factor

    @property
    def high_ms(self) -> NDArray[np.float64]:
        """Upper end of the 95 % interval, shape ``(N,)``."""
        return self.mean_ms + _NORMAL_95 * self.std_ms if self.factor is None else self.mean_ms * self.factor


@dataclass(frozen=True, slots=True)
class EntryCoverage:
    """What is known of one block.

    Attributes:
        operator: None for the overhead that every network has once.
        network_count: Measured networks that run the block; at 0 the entry is the prior's.
    """

    operator: Operator | None
    mean_ms: float
    std_ms: float
    network_count: int

    @property
    def source(self) -> str:
        return "learned" if self.network_count else "prior"


@dataclass(frozen=True, slots=True)
class BlockShare:
    """Part of a network's predicted latency that one of its blocks is responsible for."""

    operator: Operator | None
    mean_ms: float
    std_ms: float


class LatencyModel:
    """Predicts whole networks from the blocks they run and learns from every measured network.

    A network's latency is an overhead plus the sum of its blocks, times a factor of its own that no block
    explains. Blocks that were never measured get a prior from their multiply-accumulates and the bytes they
    move, scaled by what was measured: wide, never zero. Adding a measurement costs nothing, the next prediction
    fits anew: O(n^2 (n + entries)) for n measured networks, 2 ms at n = 100 of NAS-Bench-Macro.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._counts = BlockCounts(space)
        self._observed = Observed(space)
        self._posterior: Posterior | None = None

    @property
    def space_name(self) -> str:
        return self._space.name

    @property
    def block_counts(self) -> BlockCounts:
        """The rows that architectures become, and the blocks met so far."""
        return self._counts

    @property
    def network_count(self) -> int:
        """Different networks observed."""
        return len(self._observed)

    def observe(
        self, architectures: Sequence[Architecture], latency_ms: ArrayLike, std_ms: ArrayLike
    ) -> None:
        """Takes in measured networks; one that was observed before is averaged by precision.

        Args:
            latency_ms, std_ms: Shape ``(N,)``; a deviation under 0.1 % of its latency counts as that.

        Raises:
            InvalidArgumentError: A latency is not positive and finite, or the lengths differ; nothing is taken in.
        """
        self._observed.add([self._counts.canonical(one) for one in architectures], latency_ms, std_ms)
        self._posterior = None

    def update(self, architecture: Architecture, latency_ms: float, std_ms: float) -> None:
        """``observe`` of one network, taken into the fitted model at once instead of by a new fit.

        The scale and the size of what blocks do not explain stay as they were fitted, all else is exact. For
        streams of measurements; ``observe`` with all of them gives the same model whatever the order.
        """
        posterior, known = self._posterior, len(self._observed)
        self.observe([architecture], [latency_ms], [std_ms])
        counts = self._counts.matrix([architecture])[0]
        if posterior is not None and len(self._observed) > known and len(counts) == posterior.entry_count:
            variance_ms2 = float(self._observed.variance_ms2[-1])
            self._posterior = posterior.with_network(counts, latency_ms, variance_ms2)

    def fitted(self) -> Posterior:
        """What is believed by now; raises FailedPreconditionError before any observation."""
        return self._fitted()

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Latency of each architecture.

        Raises:
            FailedPreconditionError: Nothing was observed yet.
        """
        for one in architectures:
            self._counts.entries(one)  # blocks not met before widen the fit
        posterior = self._fitted()
        counts = self._counts.matrix(architectures)
        positions = {one: index for index, one in enumerate(self._observed.architectures)}
        same = np.array(
            [positions.get(self._counts.canonical(one), -1) for one in architectures], dtype=np.int64
        )
        mean_ms, std_ms = posterior.networks(counts, same)
        return Prediction(mean_ms, std_ms)

    def coverage(self) -> tuple[EntryCoverage, ...]:
        """Every entry met so far, the overhead first; raises FailedPreconditionError before any observation."""
        mean_ms, std_ms = self._fitted().entries()
        runs = self._counts.matrix(self._observed.architectures) > 0.0
        operators: tuple[Operator | None, ...] = (None, *self._counts.blocks)
        return tuple(
            EntryCoverage(operator, float(mean), float(std), int(count))
            for operator, mean, std, count in zip(operators, mean_ms, std_ms, runs.sum(axis=0), strict=True)
        )

    def requests(self) -> tuple[EntryCoverage, ...]:
        """Blocks that a prediction asked for and no measured network runs, the least certain first."""
        unknown = [entry for entry in self.coverage() if not entry.network_count]
        return tuple(sorted(unknown, key=lambda entry: -entry.std_ms))

    def explain(self, architecture: Architecture) -> tuple[BlockShare, ...]:
        """The overhead and each block of ``architecture`` in order, with what it costs."""
        entries = (0, *self._counts.entries(architecture))
        mean_ms, std_ms = self._fitted().entries()
        operators: tuple[Operator | None, ...] = (None, *self._counts.blocks)
        return tuple(
            BlockShare(operators[entry], float(mean_ms[entry]), float(std_ms[entry])) for entry in entries
        )

    def _fitted(self) -> Posterior:
        if not len(self._observed):
            raise FailedPreconditionError(
                f"no latency of space '{self._space.name}' was observed on this target: measure some networks."
            )
        counts = self._counts.matrix(self._observed.architectures)
        if self._posterior is None or self._posterior.entry_count != self._counts.entry_count:
            prior = Prior.from_features(self._counts.features(), counts)
            latency_ms, variance_ms2 = self._observed.latency_ms, self._observed.variance_ms2
            self._posterior = fit(prior, counts, latency_ms, variance_ms2)
        return self._posterior
