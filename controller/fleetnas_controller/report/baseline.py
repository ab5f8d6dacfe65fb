"""What random search would have found, and what this one had found, after each evaluation."""

__all__ = ["observed_trace", "random_trace"]

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.objective import reward, violation
from fleetnas_controller.strategies.strategy import Cap, Outcome, SoftCap

_RUNS = 400


def observed_trace(
    outcomes: Sequence[Outcome], caps: Sequence[Cap], soft: Sequence[SoftCap] = ()
) -> list[float]:
    """Best accuracy, less its price, under the caps after each outcome; NaN before the first that keeps them."""
    best, trace = -math.inf, []
    for outcome in outcomes:
        value = reward(outcome, caps, soft)
        if value is not None and violation(outcome, caps) == 0.0:
            best = max(best, value)
        trace.append(best if math.isfinite(best) else math.nan)
    return trace


def random_trace(
    accuracy: NDArray[np.float64], feasible: NDArray[np.bool_], length: int, seed: int = 0
) -> list[float]:
    """Median over many random searches of the best accuracy under the caps after each evaluation.

    Args:
        accuracy: Shape ``(N,)``, percent, every member of the space.
        feasible: Shape ``(N,)``: whether it keeps the caps (as predicted: nobody measured them all).

    Returns:
        NaN where more than half of the runs had found nothing under the caps.
    """
    rng = np.random.default_rng(seed)
    values = np.where(feasible, accuracy, -np.inf)
    count = min(length, len(values))
    runs = np.array([values[rng.permutation(len(values))[:count]] for _ in range(_RUNS)])
    median = np.median(np.maximum.accumulate(runs, axis=1), axis=0)
    return [float(one) if math.isfinite(one) else math.nan for one in median]
