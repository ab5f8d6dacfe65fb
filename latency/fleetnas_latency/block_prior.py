"""What is believed of blocks that were never measured: from their size."""

__all__ = ["Prior"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OVERHEAD = 0.2
_BLOCK_SPREAD = 0.15
_SMALLEST_SPREAD = 0.005


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the entries before any measurement, for networks of mean latency 1.

    The covariance is ``shared @ shared.T`` plus a diagonal of ``own ** 2``, and is never formed: a space of
    stages has thousands of blocks.

    Attributes:
        mean: Shape ``(K,)``.
        shared: Shape ``(K, F)``: what entries have in common.
        own: Shape ``(K,)``: the standard deviation of what each has alone.
    """

    mean: NDArray[np.float64]
    shared: NDArray[np.float64]
    own: NDArray[np.float64]

    @property
    def factor(self) -> NDArray[np.float64]:
        """Shape ``(K, F + K)``; the covariance is ``factor @ factor.T``."""
        return np.hstack([self.shared, np.diag(self.own)])

    def covariance(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of networks with each other.

        Args:
            left, right: Shape ``(M, K)`` and ``(N, K)``, counts.

        Returns:
            Shape ``(M, N)``.
        """
        common: NDArray[np.float64] = (left @ self.shared) @ (right @ self.shared).T
        return common + (left * self.own**2) @ right.T

    def variance(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each network, shape ``(M,)``: the diagonal of its covariance with itself."""
        common = counts @ self.shared
        variance: NDArray[np.float64] = np.einsum("mf,mf->m", common, common) + counts**2 @ self.own**2
        return variance

    @classmethod
    def from_features(cls, features: NDArray[np.float64], counts: NDArray[np.float64]) -> "Prior":
        """Each feature explains an equal part of the mean latency, give or take that much.

        Args:
            features: Shape ``(K, F)``; row 0, the overhead's, is zero.
            counts: Shape ``(N, K)``, the networks whose mean latency is 1.

        Source: these settings fitted chains of blocks from 15 networks on to 1.5 % median error on one CPU;
        before 10 measurements multiply-accumulates alone were safer.
        """
        totals = (counts @ features).mean(axis=0)
        used = totals > 0.0
        weights = np.zeros(features.shape[1])
        weights[used] = (1.0 - _OVERHEAD) / (used.sum() * totals[used])
        shared = features * weights
        mean = shared.sum(axis=1)
        own = _BLOCK_SPREAD * mean + _SMALLEST_SPREAD
        mean[0] = own[0] = _OVERHEAD
        return cls(mean, shared, own)
