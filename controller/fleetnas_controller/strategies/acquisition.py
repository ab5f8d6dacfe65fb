"""What one more evaluation of a candidate is worth."""

__all__ = ["GATE", "choose", "expected_excess", "improvement", "log_cap_score"]

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GATE = 0.02
"""Candidates less likely than this to keep every cap are not evaluated."""


def improvement(mean: Floats, variance: Floats, noise_variance: Floats | float, rivals: Mask) -> Floats:
    """How much one more observation is expected to raise the best posterior mean ("one-sample" improvement).

    An observation moves the mean at its own candidate by a Gaussian of deviation ``t = v / sqrt(v + noise)``. A
    candidate other than the incumbent gains when it rises above it; the incumbent itself when it may fall below
    the runner-up, which is then known to be better. So second looks compete with first ones on one scale.

    Args:
        mean, variance: Posterior of each candidate, shape ``(M,)``.
        noise_variance: Of one observation, of all candidates or of each.
        rivals: Which candidates may be the answer today, at least one: evaluated and within the caps.

    Returns:
        Shape ``(M,)``, in the unit of ``mean``, never negative.

    Source: the knowledge gradient of Frazier et al., INFORMS J. on Computing 21 (2009), without cross terms.
    """
    step = variance / np.sqrt(variance + noise_variance)
    order = np.flatnonzero(rivals)[np.argsort(-mean[rivals], kind="stable")]
    best = order[0]
    gap = mean - mean[best]
    gap[best] = mean[order[1]] - mean[best] if len(order) > 1 else -np.inf
    scaled = gap / step
    density = np.exp(-0.5 * np.square(scaled)) / np.sqrt(2.0 * np.pi)
    gain: Floats = step * density
    finite = np.isfinite(gap)
    gain[finite] += gap[finite] * ndtr(scaled[finite])
    return np.maximum(gain, 0.0)


def log_cap_score(log_limit: float, log_mean: Floats, log_std: Floats) -> Floats:
    """By how many standard deviations a log-normal quantity is expected to stay under its limit."""
    result: Floats = (log_limit - log_mean) / np.maximum(log_std, 1e-9)
    return result


def expected_excess(limit: float, log_mean: Floats, log_std: Floats) -> Floats:
    """By how much a log-normal quantity is expected to exceed its limit, in the limit's unit: ``E[(x - limit)+]``."""
    score = log_cap_score(np.log(limit), log_mean, log_std)
    above = np.exp(log_mean + np.square(log_std) / 2.0) * ndtr(log_std - score)
    result: Floats = np.maximum(above - limit * ndtr(-score), 0.0)
    return result


def choose(gain: Floats, kept: Floats, scores: Floats, allowed: Mask) -> int:
    """The candidate of the highest gain times probability of keeping the caps.

    Where no allowed candidate passes the gate the search first has to find its way under the caps: the one
    nearest to keeping them is chosen.

    Args:
        gain: From ``improvement``.
        kept: Probability that every cap holds.
        scores: The smallest ``log_cap_score`` of each candidate.
        allowed: At least one.
    """
    passing = allowed & (kept > GATE)
    if passing.any():
        return int(np.argmax(np.where(passing, gain * kept, -1.0)))
    return int(np.argmax(np.where(allowed, scores, -np.inf)))
