"""Measured networks, those measured again averaged by precision."""

__all__ = ["Observed"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import check_architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

_LEAST_RELATIVE_STD = 1e-3


class Observed:
    """Architectures in the order they were first seen, with one latency each."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._sums: dict[Architecture, tuple[float, float]] = {}  # precision, precision x value

    def __len__(self) -> int:
        return len(self._sums)

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        return tuple(self._sums)

    @property
    def latency_ms(self) -> NDArray[np.float64]:
        """Shape ``(N,)``."""
        return np.array([weighted / precision for precision, weighted in self._sums.values()])

    @property
    def variance_ms2(self) -> NDArray[np.float64]:
        """Shape ``(N,)``, of ``latency_ms``."""
        return np.array([1.0 / precision for precision, _ in self._sums.values()])

    def add(self, architectures: Sequence[Architecture], latency_ms: ArrayLike, std_ms: ArrayLike) -> None:
        """All or none.

        Args:
            latency_ms, std_ms: Shape ``(N,)``; a deviation under 0.1 % of its latency counts as that.

        Raises:
            InvalidArgumentError: A latency is not positive and finite, the lengths differ, or an architecture is
                none of the space.
        """
        values, deviations = np.atleast_1d(latency_ms).astype(float), np.atleast_1d(std_ms).astype(float)
        if not len(architectures) == len(values) == len(deviations):
            raise InvalidArgumentError(
                f"{len(architectures)} architectures came with {len(values)} latencies and {len(deviations)} "
                "deviations: give one of each per architecture."
            )
        usable = np.isfinite(values) & (values > 0.0) & np.isfinite(deviations) & (deviations >= 0.0)
        for one, value, deviation, good in zip(architectures, values, deviations, usable, strict=True):
            check_architecture(one, self._space)
            if not good:
                raise InvalidArgumentError(
                    f"latency {value} ms +- {deviation} of '{one.key}' cannot be learned from: it must be "
                    "positive and finite."
                )
        for one, value, deviation in zip(architectures, values, deviations, strict=True):
            precision = 1.0 / max(float(deviation), _LEAST_RELATIVE_STD * float(value)) ** 2
            known_precision, known_sum = self._sums.get(one, (0.0, 0.0))
            self._sums[one] = (known_precision + precision, known_sum + precision * float(value))
