"""Exact Bayesian linear regression with multiplicative misfit, its size chosen by evidence."""

__all__ = ["Component", "Posterior", "Prior", "fit"]

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_OVERHEAD = 0.2
_BLOCK_SPREAD = 0.15
_SMALLEST_SPREAD = 0.005
_SIGMAS = (0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2)
_SIGMA_MEDIAN = 0.025
_NEGLIGIBLE = 1e-3
_LEAST_SHARE = 0.2


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


@dataclass(frozen=True, slots=True)
class Component:
    """The exact posterior under one size of misfit; ``weight`` is its evidence's share."""

    weight: float
    sigma: float
    expected: NDArray[np.float64]
    solved: NDArray[np.float64]
    inverse_root: NDArray[np.float64]

    def grown(
        self, prior_mean: float, shared: NDArray[np.float64], own: float, value: float, noise: float
    ) -> "tuple[float, Component]":
        """With one network more, its covariance with the others bordered on; and the value's log density before.

        Args:
            shared: Shape ``(N,)``, covariance with the networks before; ``own``: with itself.
        """
        expected = max(prior_mean + float(shared @ self.solved), _LEAST_SHARE * prior_mean)
        left = self.inverse_root @ shared
        # Never below the noise: rounding may take more away than there is.
        misfit = noise + (self.sigma * expected) ** 2 + 1e-12
        last = np.sqrt(max(own + misfit - float(left @ left), misfit))
        whitened = (value - prior_mean - float(shared @ self.solved)) / last
        border = np.append(-(left @ self.inverse_root), 1.0) / last
        root = np.vstack([np.pad(self.inverse_root, ((0, 0), (0, 1))), border])
        solved = np.append(self.solved, 0.0) + border * whitened
        log_density = -0.5 * whitened**2 - float(np.log(last))
        return log_density, Component(
            self.weight, self.sigma, np.append(self.expected, expected), solved, root
        )


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of entries and networks after the measurements. Made by ``fit``.

    Attributes:
        scale_ms: Latency that stands for 1 in the prior's units.
        counts: Shape ``(N, K)``, the measured networks.
    """

    prior: Prior
    scale_ms: float
    counts: NDArray[np.float64]
    components: tuple[Component, ...]
    least_ms: float

    @property
    def entry_count(self) -> int:
        return len(self.prior.mean)

    def with_network(
        self, counts: NDArray[np.float64], latency_ms: float, variance_ms2: float
    ) -> "Posterior":
        """Knows one network more, exactly under the scale and the sizes of misfit that were found: O(N (K + N)).

        ``fit`` with all networks would choose these anew; do that now and then.

        Args:
            counts: Shape ``(K,)``, of a network not measured before.
        """
        row = counts[None]
        value, noise = latency_ms / self.scale_ms, variance_ms2 / self.scale_ms**2
        prior_mean = float(counts @ self.prior.mean)
        shared = self.prior.covariance(row, self.counts)[0]
        own = float(self.prior.variance(row)[0])
        grown = [one.grown(prior_mean, shared, own, value, noise) for one in self.components]
        evidence = np.array([log_evidence for log_evidence, _ in grown])
        weights = np.array([one.weight for one in self.components]) * np.exp(evidence - evidence.max())
        weights /= weights.sum()
        components = tuple(
            replace(one, weight=float(weight)) for weight, (_, one) in zip(weights, grown, strict=True)
        )
        measured = np.vstack([self.counts, row])
        return Posterior(self.prior, self.scale_ms, measured, components, min(self.least_ms, latency_ms))

    def entries(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each entry, milliseconds, shape ``(K,)`` each."""
        shared = self.prior.shared @ (self.counts @ self.prior.shared).T + (self.counts * self.prior.own**2).T
        variance = (self.prior.shared**2).sum(axis=1) + self.prior.own**2
        return self._combined(self.prior.mean, shared, variance, None)

    def networks(
        self, counts: NDArray[np.float64], same: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each network's true latency, milliseconds.

        Args:
            counts: Shape ``(M, K)``.
            same: Shape ``(M,)``: the measured network that this one is; -1 for one never measured.
        """
        shared = self.prior.covariance(counts, self.counts)
        mean_ms, std_ms = self._combined(counts @ self.prior.mean, shared, self.prior.variance(counts), same)
        return np.maximum(mean_ms, 0.1 * self.least_ms), std_ms

    def _combined(
        self,
        prior_mean: NDArray[np.float64],
        shared: NDArray[np.float64],
        own_variance: NDArray[np.float64],
        same: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        weights = np.array([one.weight for one in self.components])[:, None]
        means, variances = [], []
        for one in self.components:
            cross, variance = shared, own_variance
            if same is not None:
                misfit = one.sigma * np.maximum(prior_mean + shared @ one.solved, _LEAST_SHARE * prior_mean)
                cross, variance = shared.copy(), own_variance + misfit**2
                seen = np.flatnonzero(same >= 0)
                # A measured network's own factor is known as well as its measurement.
                cross[seen, same[seen]] += (one.sigma * one.expected[same[seen]]) ** 2
                variance[seen] = own_variance[seen] + (one.sigma * one.expected[same[seen]]) ** 2
            means.append(prior_mean + cross @ one.solved)
            explained = cross @ one.inverse_root.T
            variances.append(np.maximum(variance - np.einsum("ij,ij->i", explained, explained), 1e-12))
        mean = (weights * means).sum(axis=0)
        spread = (weights * (np.array(variances) + (np.array(means) - mean) ** 2)).sum(axis=0)
        return self.scale_ms * mean, self.scale_ms * np.sqrt(spread)


def fit(
    prior: Prior,
    counts: NDArray[np.float64],
    latency_ms: NDArray[np.float64],
    variance_ms2: NDArray[np.float64],
) -> Posterior:
    """Conditions the prior on measured networks.

    Args:
        counts: Shape ``(N, K)``, ``N >= 1``, every network once.
        latency_ms, variance_ms2: Shape ``(N,)``: each network's measured latency and that value's variance.
    """
    prior_mean = counts @ prior.mean
    scale_ms = float(np.median(latency_ms / prior_mean))
    values, noise = latency_ms / scale_ms, variance_ms2 / scale_ms**2
    kernel = prior.covariance(counts, counts)
    fitted = [_component(sigma, kernel, prior_mean, values, noise) for sigma in _SIGMAS]
    evidence = np.array([log_evidence for log_evidence, _ in fitted])
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    kept = [
        Component(float(weight), one.sigma, one.expected, one.solved, one.inverse_root)
        for weight, (_, one) in zip(weights, fitted, strict=True)
        if weight > _NEGLIGIBLE
    ]
    return Posterior(prior, scale_ms, counts, tuple(kept), float(latency_ms.min()))


def _component(
    sigma: float,
    kernel: NDArray[np.float64],
    prior_mean: NDArray[np.float64],
    values: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> tuple[float, Component]:
    """The posterior under one ``sigma`` and its log evidence.

    The misfit is relative to the *predicted* latency (relative to the measured one it would favour networks that
    were measured too fast), so the prediction is iterated; a third pass changes nothing.
    """
    expected = prior_mean
    for _ in range(2):
        covariance = kernel + np.diag(noise + (sigma * expected) ** 2 + 1e-12)
        root = np.linalg.cholesky(covariance)
        inverse_root = np.linalg.inv(root)
        whitened = inverse_root @ (values - prior_mean)
        solved = inverse_root.T @ whitened
        previous, expected = expected, np.maximum(prior_mean + kernel @ solved, _LEAST_SHARE * prior_mean)
    log_prior = -0.5 * np.log(sigma / _SIGMA_MEDIAN) ** 2
    log_evidence = -0.5 * whitened @ whitened - np.log(np.diag(root)).sum() + log_prior
    return float(log_evidence), Component(0.0, sigma, previous, solved, inverse_root)
