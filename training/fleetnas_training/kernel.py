"""The covariance between observations of architectures, and how its settings are learned."""

__all__ = ["Kernel", "fit_kernel"]

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SQRT5 = math.sqrt(5.0)
_BOUNDS = {"lengths": (-2.5, 6.0), "matern": (-4.0, 2.5), "linear": (-5.0, 3.0), "fine": (-6.0, 1.0)}
"""Bounds of the logarithms of the settings; "fine" is the per-architecture term and the noise."""

_FIT_POINTS = 200
_FIT_STEPS = 30


@dataclass(frozen=True, slots=True)
class Kernel:
    """Settings of ``constant + linear + Matern-5/2 + per-architecture term``, and of the observation noise.

    An observation of architecture ``a`` with features ``z`` is ``f(z) + d(a) + e``: ``f`` is smooth, ``d`` is
    what the features cannot explain but a second training of the same network can, ``e`` is new each time.
    Standard deviations are in units of the standardised target; the constant's is 1.

    Attributes:
        lengths: One length scale per feature, shape ``(D,)``, in units of the standardised feature.
        matern, linear: Standard deviations of the two parts of ``f``.
        architecture: Standard deviation of ``d``.
        noise: Standard deviation of ``e``; 0 where the source is deterministic.
        jitter: Variance added to the diagonal for the sake of the Cholesky factor.
    """

    lengths: Floats
    matern: float = 1.0
    linear: float = 0.5
    architecture: float = 0.1
    noise: float = 0.1
    jitter: float = 1e-6

    @staticmethod
    def prior(feature_count: int, *, noisy: bool, fine: float = 0.1) -> "Kernel":
        """The medians of the prior, from which fitting starts.

        Args:
            noisy: Whether repeated observations of one architecture differ.
            fine: Median of the per-architecture term and of the noise.
        """
        lengths = np.full(feature_count, math.sqrt(max(feature_count, 1)))
        noise, jitter = (fine, 1e-6) if noisy else (0.0, 1e-4)
        return Kernel(lengths, architecture=fine, noise=noise, jitter=jitter)

    @property
    def noise_variance(self) -> float:
        """Of one observation around its architecture's mean, jitter included."""
        return self.noise**2 + self.jitter

    def covariance(self, left: Floats, left_ids: Ints, right: Floats, right_ids: Ints) -> Floats:
        """Of the architectures' means ``f + d``; shape ``(len(left), len(right))``.

        Args:
            left_ids, right_ids: Number of the architecture in each row; equal numbers share ``d``.
        """
        smooth = self._matern(np.sqrt(_squared_distances(left / self.lengths, right / self.lengths)))
        smooth += 1.0 + self.linear**2 / len(self.lengths) * (left @ right.T)
        smooth += self.architecture**2 * (left_ids[:, None] == right_ids[None, :])
        return smooth

    def variance(self, features: Floats) -> Floats:
        """The diagonal of ``covariance(features, ids, features, ids)``."""
        constant = 1.0 + self.matern**2 + self.architecture**2
        diagonal: Floats = constant + self.linear**2 / len(self.lengths) * np.square(features).sum(axis=1)
        return diagonal

    def _matern(self, distance: Floats) -> Floats:
        scaled = _SQRT5 * distance
        result: Floats = self.matern**2 * (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
        return result


def fit_kernel(
    start: Kernel, prior: Kernel, features: Floats, ids: Ints, targets: Floats, known_variance: Floats
) -> Kernel:
    """The settings of highest posterior density, by L-BFGS-B from ``start``.

    Above 200 points a random subset enters, the same at each call with as many points.

    Args:
        prior: Medians of the log-normal prior, whose logarithms have deviation 1; no noise there, no noise here.
        features: Standardised, shape ``(N, D)``.
        ids: Number of the architecture in each row, shape ``(N,)``.
        targets: Standardised, shape ``(N,)``.
        known_variance: What is known of each observation's own variance, which adds to the noise; shape ``(N,)``.
    """
    if len(targets) > _FIT_POINTS:
        rows = np.sort(np.random.default_rng(len(targets)).choice(len(targets), _FIT_POINTS, replace=False))
        features, ids, targets, known_variance = (
            features[rows],
            ids[rows],
            targets[rows],
            known_variance[rows],
        )
    posterior = _Posterior(features, ids, targets, known_variance, prior)
    found = minimize(
        posterior,
        posterior.pack(start),
        jac=True,
        method="L-BFGS-B",
        bounds=posterior.bounds(),
        options={"maxiter": _FIT_STEPS},
    )
    return posterior.unpack(found.x)


class _Posterior:
    """Negative log posterior of the log settings, with its gradient."""

    def __init__(
        self, features: Floats, ids: Ints, targets: Floats, known_variance: Floats, prior: Kernel
    ) -> None:
        self._features = features
        self._known_variance = known_variance
        self._targets = targets
        self._prior = prior
        self._noisy = prior.noise > 0.0
        self._count = features.shape[1]
        self._centre = self.pack(prior)
        self._same = (ids[:, None] == ids[None, :]).astype(np.float64)
        self._linear = features @ features.T / features.shape[1]

    def pack(self, kernel: Kernel) -> Floats:
        scalars = [kernel.matern, kernel.linear, kernel.architecture]
        logs: Floats = np.log(np.concatenate([kernel.lengths, scalars + [kernel.noise] * self._noisy]))
        return logs

    def unpack(self, logs: Floats) -> Kernel:
        matern, linear, architecture, *noise = np.exp(logs[self._count :]).tolist()
        lengths: Floats = np.exp(logs[: self._count])
        return replace(
            self._prior,
            lengths=lengths,
            matern=matern,
            linear=linear,
            architecture=architecture,
            noise=noise[0] if noise else 0.0,
        )

    def bounds(self) -> list[tuple[float, float]]:
        fine = [_BOUNDS["fine"]] * (2 if self._noisy else 1)
        lengths = [_BOUNDS["lengths"]] * self._count
        return [*lengths, _BOUNDS["matern"], _BOUNDS["linear"], *fine]

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        kernel = self.unpack(logs)
        scaled = self._features / kernel.lengths
        root = _SQRT5 * np.sqrt(_squared_distances(scaled, scaled))
        decay = np.exp(-root)
        matern = kernel.matern**2 * (1.0 + root + root**2 / 3.0) * decay
        linear = kernel.linear**2 * self._linear
        total = 1.0 + linear + matern + kernel.architecture**2 * self._same
        total.flat[:: len(total) + 1] += kernel.noise_variance + self._known_variance
        factor = cholesky(total, lower=True, check_finite=False)
        weights = cho_solve((factor, True), self._targets, check_finite=False)
        inverse = cho_solve((factor, True), np.eye(len(total)), check_finite=False)
        pull = inverse - np.outer(weights, weights)
        slope = pull * (kernel.matern**2 * 5.0 / 3.0 * (1.0 + root) * decay)
        gradient = np.concatenate(
            [
                _along_features(slope, scaled),
                [(pull * matern).sum(), (pull * linear).sum()],
                [kernel.architecture**2 * (pull * self._same).sum()],
                [kernel.noise**2 * np.trace(pull)] * self._noisy,
            ]
        )
        surprise = logs - self._centre
        value = 0.5 * self._targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * surprise @ surprise
        return float(value), gradient + surprise


def _along_features(slope: Floats, scaled: Floats) -> Floats:
    """Half the sum over all pairs of slope times squared distance, feature by feature; ``slope`` is symmetric."""
    result: Floats = slope.sum(axis=1) @ np.square(scaled) - (scaled * (slope @ scaled)).sum(axis=0)
    return result


def _squared_distances(left: Floats, right: Floats) -> Floats:
    lengths = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
    squares: Floats = np.maximum(lengths - 2.0 * (left @ right.T), 0.0)
    return squares
