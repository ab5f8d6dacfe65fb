"""The latency table's model over a whole pool of candidates, at the price of its blocks, not its measurements."""

__all__ = ["pool_latency_ms"]

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.regression import Posterior

Floats = NDArray[np.float64]

_LEAST_SHARE, _LEAST_OF_MEASURED = 0.2, 0.1
"""Those of ``regression``: of the prior's mean for the misfit, of the fastest measured network for the answer."""


def pool_latency_ms(
    posterior: Posterior, counts: Floats, measured: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """``posterior.networks``, the same numbers; 3,969 networks after 200 measurements in 4 ms instead of 35.

    Networks never measured need the posterior of the blocks alone, of which there are fewer than measurements.

    Args:
        counts: Shape ``(M, K)``.
        measured: Shape ``(M,)``: number of the measured network that this one is; -1 for one never measured.

    Returns:
        Mean and standard deviation in milliseconds, shape ``(M,)`` each.
    """
    blocks = counts.shape[1]
    if blocks >= len(posterior.counts):
        return posterior.networks(counts, measured)
    prior = posterior.prior
    cross = posterior.counts @ prior.covariance(np.eye(blocks), np.eye(blocks))
    prior_mean, own = counts @ prior.mean, prior.variance(counts)
    means, variances = [], []
    for one in posterior.components:
        mean = prior_mean + counts @ (cross.T @ one.solved)
        explained = one.inverse_root @ cross
        known = np.einsum("ij,ij->i", counts @ (explained.T @ explained), counts)
        misfit = one.sigma * np.maximum(mean, _LEAST_SHARE * prior_mean)
        means.append(mean)
        variances.append(np.maximum(own - known, 0.0) + misfit**2)
    weights = np.array([one.weight for one in posterior.components])
    mean = weights @ np.array(means)
    spread = weights @ (np.array(variances) + np.square(np.array(means) - mean))
    mean_ms = np.maximum(posterior.scale_ms * mean, _LEAST_OF_MEASURED * posterior.least_ms)
    std_ms = posterior.scale_ms * np.sqrt(spread)
    seen = np.flatnonzero(measured >= 0)
    mean_ms[seen], std_ms[seen] = posterior.networks(counts[seen], measured[seen])
    return mean_ms, std_ms
