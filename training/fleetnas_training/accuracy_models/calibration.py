"""Intervals that hold what they promise."""

__all__ = ["SIGMAS_90", "calibrated_coverage", "conformal_sigmas"]

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIGMAS_90 = 1.6449
"""Half the width of a Gaussian's 90 % interval, in standard deviations."""

_SHARE = 0.9


def conformal_sigmas(misses: Floats) -> float:
    """How many predicted standard deviations make an interval that nine of ten new trainings fall into.

    Source: Vovk et al., "Algorithmic Learning in a Random World", 2005; the jackknife of Barber et al., "Predictive
    inference with the jackknife+", Annals of Statistics 49 (2021).

    Args:
        misses: ``|value - mean| / std`` of each training, predicted without its network, shape ``(N,)``; with fewer
            than nine the largest is taken, which promises less.
    """
    place = math.ceil((len(misses) + 1) * _SHARE)
    return float(np.sort(misses)[min(place, len(misses)) - 1])


def calibrated_coverage(misses: Floats) -> float:
    """Share of the trainings inside the interval that all others calibrate."""
    others = [conformal_sigmas(np.delete(misses, row)) for row in range(len(misses))]
    return float((misses <= np.array(others)).mean())
