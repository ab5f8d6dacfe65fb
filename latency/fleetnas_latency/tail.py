"""High percentiles that can be believed from a limited number of runs."""

__all__ = ["TAIL_CONFIDENCE", "fewest_runs", "tail_ms"]

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fleetnas_latency.statistics import binomial_cdf
from fleetnas_search_spaces.errors import InvalidArgumentError

TAIL_CONFIDENCE = 0.99


def tail_ms(samples_ms: Sequence[float], percentile: float = 0.9) -> float | None:
    """The percentile by MLPerf's early-stopping rule: an upper bound of it at 99 % confidence.

    The ``t - 1`` highest runs are discarded and the highest of the rest is reported, ``t`` being the most runs
    that may lie above the true percentile while so many runs still prove it. The plain percentile of few runs
    is too low every other time.

    Returns:
        Milliseconds; None below ``fewest_runs(percentile)``, which prove nothing.

    Raises:
        InvalidArgumentError: ``percentile`` is not between 0 and 1.

    Source: MLCommons inference policies, "Early stopping" (single stream, tolerance 0, confidence 0.99).
    """
    if not 0.0 < percentile < 1.0:
        raise InvalidArgumentError(f"`percentile` (={percentile}) must lie between 0 and 1, both excluded")
    allowed = _most_above(len(samples_ms), percentile)
    return sorted(samples_ms)[len(samples_ms) - allowed] if allowed else None


def fewest_runs(percentile: float = 0.9) -> int:
    """With fewer runs there is no estimate: 64 for the 90th percentile."""
    count = 1
    while not _most_above(count, percentile):
        count += 1
    return count


@lru_cache(maxsize=4096)
def _most_above(count: int, percentile: float) -> int:
    """The largest t with P(at most t of ``count`` runs above the percentile) <= 1 - confidence; 0 for none."""
    at_most = binomial_cdf(count, 1.0 - percentile)
    return max(int(np.searchsorted(at_most, 1.0 - TAIL_CONFIDENCE, side="right")) - 1, 0)
