"""Intervals made honest: by how far off the model was on what was left out."""

__all__ = ["LEVEL", "interval_factor", "student_scores"]

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
        pseudo_scores: Shape ``(P,)``: what is expected before anything was left out (``student_scores``).
    """
    pooled = np.sort(np.concatenate([left_out_scores, pseudo_scores]))
    rank = math.ceil(level * (len(pooled) + 1))
    return float(pooled[min(rank, len(pooled)) - 1])


def student_scores() -> Floats:
    """20 scores as Student's distribution of the noise expects them, a little less: its tails were wider than those
    of 19 public devices. Scores taken from other devices instead covered no better.
    """
    middles = (np.arange(_PSEUDO_COUNT) + 0.5) / _PSEUDO_COUNT
    found: Floats = _SHRINK * stats.t.ppf(0.5 + middles / 2.0, _FREEDOM)
    return found
