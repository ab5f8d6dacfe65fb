"""Quantiles of latency samples and of ratios between two series, each with an honest interval."""

__all__ = [
    "Estimate",
    "RoundSamples",
    "Series",
    "Statistic",
    "binomial_cdf",
    "estimate",
    "estimate_sorted",
    "ratio_estimate",
    "student_quantile",
]

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.errors import InvalidArgumentError

RoundSamples = Sequence[Sequence[float]]
"""One sequence of samples per round, in order."""

_RESAMPLE_COUNT = 400
_BOOTSTRAP_SEED = 20_221_124
_FEWEST_ROUNDS = 6
# A tick of one part in ten thousand moves no interval of one percent.
_FINE_TICK = 1e-4
# A duration of n + f ticks reads n or n + 1 in proportion to f; the median of such readings, spread over their ticks,
# is off by at most 0.086 ticks (at f = 0.29 and 0.71).
_GROUPING_ERROR = 0.09


class Series(StrEnum):
    """Which clock the samples were read from."""

    WALL = "wall"
    CPU = "cpu"

    def of(self, wall_ms: float, cpu_ms: float) -> float:
        """The one of the two that this clock read."""
        return wall_ms if self is Series.WALL else cpu_ms


class Statistic(StrEnum):
    """The one number that stands for a series of runs.

    ``CPU_P10``, the lowest decile of the CPU time, moved least on a machine shared with others: its interleaved
    ratio varied by 0.4 % between processes under a load of 5 to 10, the wall median's by 10 %
    (research notes on ONNX Runtime, MobileNetV2, one thread). CPU time is no latency with several threads.
    """

    WALL_MEDIAN = "wall_median"
    CPU_MEDIAN = "cpu_median"
    CPU_P10 = "cpu_p10"

    @property
    def series(self) -> Series:
        return Series.WALL if self is Statistic.WALL_MEDIAN else Series.CPU

    @property
    def quantile(self) -> float:
        return 0.1 if self is Statistic.CPU_P10 else 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval that covers the truth with probability ``level``.

    Attributes:
        level: What was asked for, or less where the samples were too few for it.
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    @property
    def std(self) -> float:
        """Standard deviation of the normal distribution with an interval of the same width."""
        return (self.high - self.low) / 2.0 / NormalDist().inv_cdf(0.5 + self.level / 2.0)

    @property
    def relative_half_width(self) -> float:
        """Half the interval over the value; infinite for a value of zero."""
        return (self.high - self.low) / 2.0 / self.value if self.value > 0.0 else math.inf


def estimate(
    samples: Sequence[float], quantile: float = 0.5, level: float = 0.95, tick: float = 0.0
) -> Estimate:
    """The sample quantile with its order-statistic interval, which assumes no distribution.

    The interval is exact for independent samples; runs that follow each other on a busy machine are not, see
    ``rounds.estimate_rounds``.

    Args:
        tick: Resolution of the samples. Where it matters, equal samples are spread evenly over one tick, as the
            median of grouped data is taken, and the interval grows by the most that this can be wrong.

    Raises:
        InvalidArgumentError: No sample, one that is not finite, or a quantile or level outside (0, 1).
    """
    if not len(samples):
        raise InvalidArgumentError("a quantile of no samples was asked for: measure at least one run")
    if not all(math.isfinite(sample) for sample in samples):
        raise InvalidArgumentError("a sample is not a finite number: drop the runs whose clock failed")
    return estimate_sorted(sorted(samples), quantile, level, tick)


def estimate_sorted(
    ordered: Sequence[float], quantile: float, level: float, tick: float = 0.0, inflation: float = 1.0
) -> Estimate:
    """``estimate`` of samples that are already in ascending order and checked.

    Args:
        inflation: So many samples are worth one independent one (``rounds.inflation``); the interval's ranks
            move apart by its root.
    """
    _check_probability("quantile", quantile)
    _check_probability("level", level)
    low_rank, high_rank, reached = _ranks(len(ordered), quantile, level)
    if inflation > 1.0:
        centre, stretch = quantile * (len(ordered) - 1), math.sqrt(inflation)
        low_rank = max(math.floor(centre - (centre - low_rank) * stretch), 0)
        high_rank = min(math.ceil(centre + (high_rank - centre) * stretch), len(ordered) - 1)
    if tick < _FINE_TICK * ordered[low_rank]:
        return Estimate(_quantile(ordered, quantile), ordered[low_rank], ordered[high_rank], reached)
    position = quantile * (len(ordered) - 1)
    ends = [_spread(ordered, rank, tick) for rank in (math.floor(position), math.ceil(position))]
    value = ends[0] + (position - math.floor(position)) * (ends[1] - ends[0])
    slack = _GROUPING_ERROR * tick
    low, high = _spread(ordered, low_rank, tick) - slack, _spread(ordered, high_rank, tick) + slack
    return Estimate(value, low, high, reached)


def ratio_estimate(
    candidate_rounds: RoundSamples,
    anchor_rounds: RoundSamples,
    quantile: float = 0.5,
    level: float = 0.95,
) -> Estimate:
    """Ratio of the quantiles of two series that were measured alternately, round by round.

    The median: each round gives the ratio of its medians, in which the round's weather cancels, and the median
    of these is taken with its order-statistic interval, so that a disturbed round moves nothing. The interval's
    ends are interpolated between neighbouring ranks, which rounds are few enough to need (ten of them: 97.9 %
    instead of 95 %; Hettmansperger and Sheather, Statistics and Probability Letters 4, 1986).

    Other quantiles: the ratio of the pooled quantiles, since a low quantile of a few runs is biased by their
    number, and rounds of 14 and 6 runs shifted a round-wise lowest decile by 1 % (simulated; its interval then
    covered 61 to 67 % instead of 95 %). Rounds, not runs, are drawn again with a fixed seed; the deviation of
    the log ratio over the draws gives a Student-t interval. Below six rounds the two order-statistic intervals
    are combined, which is wider.

    Raises:
        InvalidArgumentError: The round counts differ, a round is empty, or a sample is not positive.
    """
    _check_rounds(candidate_rounds, anchor_rounds)
    if quantile == 0.5 and len(candidate_rounds) >= _FEWEST_ROUNDS:
        ratios = [
            median(one) / median(other) for one, other in zip(candidate_rounds, anchor_rounds, strict=True)
        ]
        return _median_of_few(sorted(ratios), level)
    candidate = estimate([sample for one in candidate_rounds for sample in one], quantile, level)
    anchor = estimate([sample for one in anchor_rounds for sample in one], quantile, level)
    value = candidate.value / anchor.value
    if len(candidate_rounds) < _FEWEST_ROUNDS:
        reached = min(candidate.level, anchor.level)
        return Estimate(value, candidate.low / anchor.high, candidate.high / anchor.low, reached)
    reach = math.exp(_log_half_width(candidate_rounds, anchor_rounds, quantile, level))
    return Estimate(value, value / reach, value * reach, level)


def _median_of_few(ordered: Sequence[float], level: float) -> Estimate:
    """The median with an interval between those of two neighbouring ranks, weighted to reach the level."""
    count = len(ordered)
    wide = estimate_sorted(ordered, 0.5, level)
    below = binomial_cdf(count, 0.5)
    depth = _ranks(count, 0.5, level)[0] + 1
    covered, next_covered = (1.0 - 2.0 * float(below[one - 1]) for one in (depth, depth + 1))
    if covered <= level or 2 * (depth + 1) > count:
        return wide
    part = (covered - level) / (covered - next_covered)
    weight = (count - depth) * part / (depth + (count - 2 * depth) * part)
    low = (1.0 - weight) * ordered[depth - 1] + weight * ordered[depth]
    high = (1.0 - weight) * ordered[count - depth] + weight * ordered[count - depth - 1]
    return Estimate(wide.value, low, high, level)


def _log_half_width(
    candidate_rounds: RoundSamples, anchor_rounds: RoundSamples, quantile: float, level: float
) -> float:
    """Half the interval of the pooled quantiles' log ratio, by a bootstrap over rounds."""
    count = len(candidate_rounds)
    weights = np.random.default_rng(_BOOTSTRAP_SEED).multinomial(
        count, np.full(count, 1.0 / count), size=_RESAMPLE_COUNT
    )
    draws = np.log(_resampled(candidate_rounds, weights, quantile))
    draws -= np.log(_resampled(anchor_rounds, weights, quantile))
    spread = float(np.std(draws, ddof=1)) * math.sqrt(count / (count - 1))
    return student_quantile(0.5 + level / 2.0, count - 1) * spread


@lru_cache(maxsize=4096)
def _ranks(count: int, quantile: float, level: float) -> tuple[int, int, float]:
    """Zero-based ranks of the interval's ends, and the level they reach.

    The number of samples below the true quantile is Binomial(count, quantile); each tail gets half of what the
    level leaves. With too few samples for a tail the extreme sample is taken and the level is what that gives.
    """
    tail = (1.0 - level) / 2.0
    below = binomial_cdf(count, quantile)
    # The k-th smallest (one-based) lies above the quantile with probability below[k - 1].
    low = max(int(np.searchsorted(below, tail, side="right")), 1)
    high = min(int(np.searchsorted(below, 1.0 - tail, side="left")) + 1, count)
    covered = float(below[high - 1] - below[low - 1])
    return low - 1, high - 1, min(level, max(covered, 0.0)) if count > 1 else 0.01


def binomial_cdf(count: int, probability: float) -> NDArray[np.float64]:
    """P(at most k successes) for k = 0 .. count, by sums of log ratios of neighbouring terms."""
    k = np.arange(count, dtype=np.float64)
    steps = np.log((count - k) / (k + 1.0)) + math.log(probability / (1.0 - probability))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    mass = np.exp(logs - logs.max())
    total: NDArray[np.float64] = np.cumsum(mass / mass.sum())
    return total


def _spread(ordered: Sequence[float], rank: int, tick: float) -> float:
    """The sample of that rank, the equal ones among which it is being spread evenly over one tick."""
    sample = ordered[rank]
    first = bisect_left(ordered, sample - tick / 2.0)
    count = bisect_right(ordered, sample + tick / 2.0) - first
    return sample + tick * ((rank + 0.5 - first) / count - 0.5)


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """Linear interpolation between the two samples around ``quantile``, as numpy does by default."""
    position = quantile * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _resampled(rounds: RoundSamples, weights: NDArray[np.int64], quantile: float) -> NDArray[np.float64]:
    """Quantile of the pooled samples for each row of round weights; shape (draws,)."""
    samples = np.concatenate([np.asarray(one, dtype=np.float64) for one in rounds])
    owner = np.repeat(np.arange(len(rounds)), [len(one) for one in rounds])
    order = np.argsort(samples, kind="stable")
    samples, owner = samples[order], owner[order]
    values = np.empty(len(weights))
    for row, weight in enumerate(weights):
        cumulated = np.cumsum(weight[owner])
        position = quantile * (cumulated[-1] - 1)
        below, above = np.searchsorted(cumulated, [math.floor(position), math.ceil(position)], side="right")
        part = position - math.floor(position)
        values[row] = (1.0 - part) * samples[below] + part * samples[above]
    return values


def student_quantile(probability: float, freedom: int) -> float:
    """Student-t quantile by the Cornish-Fisher series in 1/freedom (Abramowitz and Stegun 26.7.5).

    Within 0.3 % of the exact value at 0.975 from five degrees of freedom on, the fewest used here.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
    )
    return sum(term / math.pow(freedom, power) for power, term in enumerate(terms))


def _check_probability(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InvalidArgumentError(f"`{name}` (={value}) must lie between 0 and 1, both excluded")


def _check_rounds(candidate_rounds: RoundSamples, anchor_rounds: RoundSamples) -> None:
    if len(candidate_rounds) != len(anchor_rounds):
        raise InvalidArgumentError(
            f"{len(candidate_rounds)} rounds of the candidate but {len(anchor_rounds)} of the anchor: "
            "measure both in every round"
        )
    rounds = [*candidate_rounds, *anchor_rounds]
    if not rounds or any(not len(one) or min(one) <= 0.0 for one in rounds):
        raise InvalidArgumentError("a round is empty or has a run of no duration: use a longer inner loop")
