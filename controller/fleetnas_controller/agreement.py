"""Whether a device ranks networks the same way twice: Kendall's tau between the halves of its measurements."""

__all__ = ["Halves", "halves_of", "self_agreement"]

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from fleetnas_latency.measurement import Measurement
from fleetnas_latency.statistics import estimate

_FEWEST_PAIRS = 10


@dataclass(frozen=True, slots=True)
class Halves:
    """One network's latency from the even and from the odd rounds of its measurement, milliseconds."""

    network: str
    even_ms: float
    odd_ms: float


def halves_of(network: str, result: Measurement) -> Halves | None:
    """Splits a measurement; None when it has fewer than two rounds."""
    rounds = [one for one in result.raw.candidate.by_round(result.statistic) if one]
    if len(rounds) < 2:
        return None
    even, odd = (
        estimate([sample for one in part for sample in one], result.statistic.quantile).value
        for part in (rounds[::2], rounds[1::2])
    )
    return Halves(network, even, odd)


def self_agreement(halves: Sequence[Halves], resolution: float) -> float | None:
    """Kendall's tau over those pairs of networks that a sound device must be able to tell apart.

    Args:
        halves: The latest of each network.
        resolution: Relative difference from which on two networks must be told apart; closer pairs do not count,
            since a coin decides their order on any device.

    Returns:
        From -1 (one half reverses the other) to 1; None with fewer than ten pairs to judge by.
    """
    agreeing = counted = 0
    for one, other in combinations(halves, 2):
        mean_one, mean_other = one.even_ms + one.odd_ms, other.even_ms + other.odd_ms
        if abs(mean_one - mean_other) <= resolution * min(mean_one, mean_other):
            continue
        counted += 1
        agreeing += (one.even_ms < other.even_ms) == (one.odd_ms < other.odd_ms)
    return 2.0 * agreeing / counted - 1.0 if counted >= _FEWEST_PAIRS else None
