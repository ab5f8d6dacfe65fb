"""A Gaussian process over architectures, conditioned on a data set at once."""

__all__ = ["GaussianProcess", "leave_networks_out"]

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from fleetnas_training.kernel import Kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class GaussianProcess:
    """The posterior of the architectures' means, given observations.

    Args:
        features: Standardised, shape ``(N, D)``.
        ids: Number of the architecture in each row, shape ``(N,)``.
        targets: Standardised, shape ``(N,)``.
        known_variance: What is known of each target's own variance, which adds to the noise; shape ``(N,)``.
    """

    def __init__(
        self,
        kernel: Kernel,
        features: Floats,
        ids: Ints,
        targets: Floats,
        known_variance: Floats | float = 0.0,
    ) -> None:
        self._kernel = kernel
        self._features = features
        self._ids = ids
        self._targets = targets
        total = kernel.covariance(features, ids, features, ids)
        self._own_variance = kernel.noise_variance + known_variance
        total.flat[:: len(total) + 1] += self._own_variance
        self._factor: Floats = cholesky(total, lower=True)
        self._weights: Floats = cho_solve((self._factor, True), targets)

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of the architectures' means, each of shape ``(len(features),)``."""
        cross = self._kernel.covariance(self._features, self._ids, features, ids)
        solved = solve_triangular(self._factor, cross, lower=True)
        variance = self._kernel.variance(features) - np.square(solved).sum(axis=0)
        return cross.T @ self._weights, np.maximum(variance, 0.0)

    @property
    def noise_variance(self) -> float:
        """Of one observation around its architecture's mean."""
        return self._kernel.noise_variance

    def predict_unseen(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """As ``predict``, each architecture as if it had not been observed."""
        mean, variance = self.predict(features, ids)
        places = {number: row for row, number in enumerate(self._ids.tolist())}
        rows = np.array([places.get(number, -1) for number in ids.tolist()])
        own = rows >= 0
        if own.any():
            inverse = cho_solve((self._factor, True), np.eye(len(self._targets)))
            left_mean, left_variance = leave_networks_out(inverse, self._weights, self._targets, self._ids)
            left_variance -= self._own_variance
            mean[own], variance[own] = left_mean[rows[own]], np.maximum(left_variance[rows[own]], 0.0)
        return mean, variance


def leave_networks_out(inverse: Floats, weights: Floats, targets: Floats, ids: Ints) -> tuple[Floats, Floats]:
    """Mean and variance of each observation of a Gaussian vector, given those of all other architectures.

    Args:
        inverse: Of the covariance of the observations, shape ``(N, N)``.
        weights: ``inverse @ targets``, shape ``(N,)``.
        ids: Number of the architecture of each observation, shape ``(N,)``.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.2, with blocks
    instead of single observations.
    """
    variance: Floats = 1.0 / np.diag(inverse)
    mean = targets - weights * variance
    numbers, counts = np.unique(ids, return_counts=True)
    for number in numbers[counts > 1]:
        rows = np.flatnonzero(ids == number)
        block = np.linalg.inv(inverse[np.ix_(rows, rows)])
        mean[rows] = targets[rows] - block @ weights[rows]
        variance[rows] = np.diag(block)
    return mean, variance
