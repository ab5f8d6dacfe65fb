"""The posterior over a pool of candidates, kept up to date one observation at a time."""

__all__ = ["PoolPosterior"]

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from fleetnas_training.kernel import Kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GROW_ROWS = 128


class PoolPosterior:
    """Mean and variance of every candidate of a pool.

    Keeps the Cholesky factor ``L`` of the observations' covariance and ``V = L^-1 K(observed, pool)``: one more
    observation appends one row to each, at the price of ``rows * len(pool)``.

    Args:
        pool: Standardised features of the candidates, shape ``(M, D)``.
        pool_ids: Number of the architecture of each candidate, shape ``(M,)``.
    """

    def __init__(self, kernel: Kernel, pool: Floats, pool_ids: Ints) -> None:
        self._kernel = kernel
        self._pool = pool.copy()
        self._pool_ids = pool_ids.copy()
        self._count = 0
        self._observed = np.empty((0, pool.shape[1]))
        self._observed_ids = np.empty(0, dtype=np.int64)
        self._factor = np.empty((0, 0))
        self._solved = np.empty((0, len(pool)))
        self._whitened = np.empty(0)
        self._mean = np.zeros(len(pool))
        self._variance = kernel.variance(pool)

    @property
    def mean(self) -> Floats:
        """Shape ``(M,)``, standardised."""
        return self._mean

    @property
    def variance(self) -> Floats:
        """Shape ``(M,)``, of the architectures' means, without observation noise."""
        return np.maximum(self._variance, 1e-12)

    def __len__(self) -> int:
        return self._count

    def condition(self, features: Floats, ids: Ints, targets: Floats, noise_variance: Floats) -> None:
        """Takes in many observations at once; only before any other.

        Args:
            noise_variance: Of each observation, jitter included.
        """
        self._reserve(len(targets))
        rows = slice(0, len(targets))
        total = self._kernel.covariance(features, ids, features, ids)
        total.flat[:: len(total) + 1] += noise_variance
        factor = cholesky(total, lower=True, check_finite=False)
        cross = self._kernel.covariance(features, ids, self._pool, self._pool_ids)
        self._observed[rows], self._observed_ids[rows] = features, ids
        self._factor[rows, rows] = factor
        self._solved[rows] = solve_triangular(factor, cross, lower=True, overwrite_b=True, check_finite=False)
        self._whitened[rows] = solve_triangular(factor, targets, lower=True, check_finite=False)
        self._count = len(targets)
        self._mean = self._whitened[rows] @ self._solved[rows]
        self._variance -= np.einsum("ij,ij->j", self._solved[rows], self._solved[rows])

    def append(self, features: Floats, architecture_id: int, target: float, noise_variance: float) -> None:
        """Takes in one observation of an architecture with ``features`` of shape ``(D,)``."""
        row = self._append_row(features, architecture_id, noise_variance)
        lead = self._factor[self._count - 1]
        known = float(lead[: self._count - 1] @ self._whitened[: self._count - 1])
        self._whitened[self._count - 1] = (target - known) / lead[self._count - 1]
        self._mean = self._mean + self._whitened[self._count - 1] * row

    def believe(self, features: Floats, architecture_id: int, noise_variance: float) -> None:
        """As if one more observation had come out as predicted: variances shrink, means stay.

        Only ``forget`` may follow, or another belief.
        """
        self._append_row(features, architecture_id, noise_variance)

    def snapshot(self) -> tuple[int, Floats]:
        """What ``forget`` needs to drop the beliefs that follow."""
        return self._count, self._variance.copy()

    def forget(self, snapshot: tuple[int, Floats]) -> None:
        """Back to the state at the snapshot, to the last bit."""
        self._count, self._variance = snapshot

    def replace(self, columns: Ints, pool: Floats, pool_ids: Ints) -> None:
        """Puts other candidates into some columns of the pool."""
        rows = slice(0, self._count)
        cross = self._kernel.covariance(self._observed[rows], self._observed_ids[rows], pool, pool_ids)
        solved = solve_triangular(
            self._factor[rows, rows], cross, lower=True, overwrite_b=True, check_finite=False
        )
        self._pool[columns], self._pool_ids[columns] = pool, pool_ids
        self._solved[rows, columns] = solved
        self._mean[columns] = self._whitened[rows] @ solved
        self._variance[columns] = self._kernel.variance(pool) - np.square(solved).sum(axis=0)

    def _append_row(self, features: Floats, architecture_id: int, noise_variance: float) -> Floats:
        self._reserve(self._count + 1)
        count, one, ids = self._count, features[None, :], np.array([architecture_id])
        rows = slice(0, count)
        past = self._kernel.covariance(self._observed[rows], self._observed_ids[rows], one, ids)[:, 0]
        lead = solve_triangular(self._factor[rows, rows], past, lower=True, check_finite=False)
        own = float(self._kernel.variance(one)[0]) + noise_variance - float(lead @ lead)
        corner = math.sqrt(max(own, self._kernel.jitter))
        cross = self._kernel.covariance(one, ids, self._pool, self._pool_ids)[0]
        row: Floats = (cross - lead @ self._solved[rows]) / corner
        self._observed[count], self._observed_ids[count] = features, architecture_id
        self._factor[count, :count], self._factor[count, count] = lead, corner
        self._solved[count] = row
        self._variance = self._variance - np.square(row)
        self._count += 1
        return row

    def _reserve(self, count: int) -> None:
        room = len(self._whitened)
        if count <= room:
            return
        size = max(count, room + _GROW_ROWS)
        self._observed = _enlarged(self._observed, (size, self._observed.shape[1]))
        self._factor = _enlarged(self._factor, (size, size))
        self._solved = _enlarged(self._solved, (size, self._solved.shape[1]))
        self._whitened = _enlarged(self._whitened, (size,))
        ids = np.zeros(size, dtype=np.int64)
        ids[: len(self._observed_ids)] = self._observed_ids
        self._observed_ids = ids


def _enlarged(array: Floats, shape: tuple[int, ...]) -> Floats:
    larger = np.zeros(shape)
    larger[tuple(slice(0, side) for side in array.shape)] = array
    return larger
