"""A device that changes between two speeds: how long it stays at each, and how surely that is known."""

__all__ = ["TwoSpeeds", "two_speeds"]

import math
from dataclasses import dataclass
from itertools import chain
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.statistics import RoundSamples

_FEWEST_ROUNDS = 6
# Speeds that are nearer do not bother a median: what remains of them is in the rounds' own scatter.
_SMALLEST_GAP = 0.03
_GAP_DEVIATIONS = 4.0
# trigamma(n), the variance of the log of the mean of n exponential stays, is 1 / (n - 0.4) within 4 %.
_STAY_OFFSET = 0.4


@dataclass(frozen=True, slots=True)
class TwoSpeeds:
    """Rounds that fall into two groups, and the share of the slow one.

    Attributes:
        slow: Of each round, whether it belongs to the slower group.
        gap: The slow group's rounds over the fast one's, less 1.
        change_count: How often the device went from one to the other.
        low_share, high_share: Interval of the part of the time that is slow.
    """

    slow: tuple[bool, ...]
    gap: float
    change_count: int
    low_share: float
    high_share: float

    def quantile(self, rounds: RoundSamples, quantile: float, slow_share: float) -> float:
        """The quantile of the runs if the device had been slow for that share of the time."""
        slow_count = sum(len(one) for one, slow in zip(rounds, self.slow, strict=True) if slow)
        fast_count = sum(map(len, rounds)) - slow_count
        weights = (1.0 - slow_share) / fast_count, slow_share / slow_count
        runs = np.fromiter(chain.from_iterable(rounds), np.float64)
        slow = np.repeat(self.slow, [len(one) for one in rounds])
        order = np.lexsort((slow, runs))
        weight = np.where(slow, weights[1], weights[0])[order]
        return float(np.interp(quantile, np.cumsum(weight) - weight / 2.0, runs[order]))


def two_speeds(rounds: RoundSamples, level: float) -> TwoSpeeds | None:
    """The two groups that the rounds fall into; None where they are one.

    The rounds' median times are split where the variance between the groups is largest (Otsu, IEEE Transactions on
    Systems, Man, and Cybernetics 9, 1979). Groups count as two speeds when they are 3 % and four of their own
    deviations apart. The odds of the slow group are the ratio of two mean stays, each the mean of as many stays as
    were seen; in rounds these are geometric, which is the two-state Markov chain that Raftery and Lewis judge the
    quantiles of a simulation by (Bayesian Statistics 4, 1992). So one visit to another speed says little about its
    share, and twenty say much.

    Args:
        level: Of the interval of the slow share.
    """
    if len(rounds) < _FEWEST_ROUNDS:
        return None
    medians = np.array([median(one) for one in rounds])
    if medians.min() <= 0.0:
        return None
    logs = np.log(medians)
    slow = logs > _threshold(logs)
    if not slow.any():  # all alike
        return None
    parts = logs[~slow], logs[slow]
    gap = float(parts[1].mean() - parts[0].mean())
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / (len(logs) - 2)
    if gap < max(math.log1p(_SMALLEST_GAP), _GAP_DEVIATIONS * math.sqrt(within)):
        return None
    change_count = int((slow[1:] != slow[:-1]).sum())
    slow_count, stays = int(slow.sum()), max(change_count, 1) / 2.0
    # A stay of one round is certain to end: the variance of a geometric stay is less than an exponential one's.
    scatter = sum(max(1.0 - stays / count, 0.0) for count in (slow_count, len(logs) - slow_count))
    reach = NormalDist().inv_cdf(0.5 + level / 2.0) * math.sqrt(scatter / (stays - _STAY_OFFSET))
    odds = slow_count / (len(logs) - slow_count)
    low, high = (odds * math.exp(side * reach) for side in (-1.0, 1.0))
    return TwoSpeeds(
        tuple(slow.tolist()), math.exp(gap) - 1.0, change_count, low / (1.0 + low), high / (1.0 + high)
    )


def _threshold(values: NDArray[np.float64]) -> float:
    """Between the two groups whose means differ most for their sizes."""
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    below, above = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    split = int(np.argmax(count * (len(ordered) - count) * (above - below) ** 2))
    return float((ordered[split] + ordered[split + 1]) / 2.0)
