"""A Gaussian process over architectures, conditioned on a data set at once."""

__all__ = ["GaussianProcess"]

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
    """

    def __init__(self, kernel: Kernel, features: Floats, ids: Ints, targets: Floats) -> None:
        self._kernel = kernel
        self._features = features
        self._ids = ids
        self._targets = targets
        total = kernel.covariance(features, ids, features, ids)
        total.flat[:: len(total) + 1] += kernel.noise_variance
        self._factor: Floats = cholesky(total, lower=True)
        self._weights: Floats = cho_solve((self._factor, True), targets)

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of the architectures' means, each of shape ``(len(features),)``."""
        cross = self._kernel.covariance(self._features, self._ids, features, ids)
        solved = solve_triangular(self._factor, cross, lower=True)
        variance = self._kernel.variance(features) - np.square(solved).sum(axis=0)
        return cross.T @ self._weights, np.maximum(variance, 0.0)

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Mean and variance of each observation, noise included, given all the others.

        Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.2.
        """
        inverse = cho_solve((self._factor, True), np.eye(len(self._targets)))
        variance: Floats = 1.0 / np.diag(inverse)
        return self._targets - self._weights * variance, variance
