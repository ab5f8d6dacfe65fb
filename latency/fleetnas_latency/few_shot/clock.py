"""Clocks that tick: latencies that are all whole multiples of something."""

__all__ = ["clock_tick_ms"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

_TICKS_MS: Sequence[float] = (1.0, 0.5, 0.1)
_FEWEST = 3


def clock_tick_ms(latency_ms: ArrayLike) -> float:
    """The longest tick that all latencies are multiples of: 1, 0.5 or 0.1 ms; 0 when there is none."""
    values = np.atleast_1d(latency_ms).astype(float)
    if len(values) < _FEWEST:
        return 0.0
    for tick in _TICKS_MS:
        steps = values / tick
        if np.all(np.abs(steps - np.round(steps)) < 1e-6):
            return tick
    return 0.0
