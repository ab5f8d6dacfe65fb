"""Intervals made honest: by what was left out, and by how the same procedure did on other devices."""

__all__ = ["LEVEL", "interval_factor", "quantile_scores", "student_scores"]

import math

import numpy as np
from scipy import stats

from fleetnas_latency.few_shot.robust_posterior import Floats

LEVEL = 0.9
_PSEUDO_COUNT = 20
_FREEDOM = 3.0
_SHRINK = 0.8


def interval_factor(left_out_scores: Floats, pseudo_scores: Floats, level: float = LEVEL) -> float:
    """By how many standard deviations an interval of ``level`` reaches to either side.

    The conformal quantile of both sets pooled: alone, ten left-out scores would say little, and after a hundred
    the pseudo-scores hardly matter. It is exact for networks measured at random, approximate for chosen ones.

    Args:
        left_out_scores: Shape ``(N,)``, ``RobustPosterior.left_out_scores``.
        pseudo_scores: Shape ``(P,)``: ``quantile_scores`` of other devices, or ``student_scores``.
    """
    pooled = np.sort(np.concatenate([left_out_scores, pseudo_scores]))
    rank = math.ceil(level * (len(pooled) + 1))
    return float(pooled[min(rank, len(pooled)) - 1])


def quantile_scores(scores: Floats) -> Floats:
    """20 numbers that stand for many scores: those in the middle of each twentieth."""
    found: Floats = np.quantile(scores, _middles())
    return found


def student_scores() -> Floats:
    """For a device that no other is known beside: what Student's distribution of the noise expects.

    A little less, since its tails were wider than those of 19 public devices.
    """
    found: Floats = _SHRINK * stats.t.ppf(0.5 + _middles() / 2.0, _FREEDOM)
    return found


def _middles() -> Floats:
    return (np.arange(_PSEUDO_COUNT) + 0.5) / _PSEUDO_COUNT
