"""What the rounds of a measurement tell that its runs alone do not: how much they hang together, and shifts."""

__all__ = ["Shift", "estimate_rounds", "inflation", "largest_shift"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.speeds import two_speeds
from fleetnas_latency.statistics import Estimate, RoundSamples, estimate_sorted, student_quantile

_FEWEST_BATCHES = 6
_MOST_BATCHES = 12
_SHIFT_DEVIATIONS = 4.0
_INFLATION_DEVIATIONS = 1.0
_CORRELATION_DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of speed at one moment.

    Attributes:
        round_index: The first round after it.
        change: Relative change of the quantile from before to after.
        deviations: The difference in mean rank over its own standard deviation.
    """

    round_index: int
    change: float
    deviations: float


def estimate_rounds(
    rounds: RoundSamples, quantile: float = 0.5, level: float = 0.95, tick: float = 0.0
) -> Estimate:
    """The quantile of all runs, with an interval that knows that runs of one moment resemble each other.

    The order-statistic interval is exact for independent runs; with two speeds of 50 ms each it covered 67 %
    instead of 95 % (``benchmarks/statistics_sim.py``), since a round is then nearly one observation. Where the
    rounds fall into two speeds, the interval holds what either end of the slow one's share would give.

    Raises:
        InvalidArgumentError: ``quantile`` or ``level`` is outside (0, 1).
    """
    ordered = sorted(chain.from_iterable(rounds))
    plain = estimate_sorted(ordered, quantile, level, tick)
    wide = plain
    factor = inflation(rounds, plain.value)
    if factor > 1.0:
        # The factor comes from so few batches that their number widens the interval once more.
        freedom = min(len(rounds), _MOST_BATCHES) - 1
        tail = 0.5 + level / 2.0
        factor *= (student_quantile(tail, freedom) / NormalDist().inv_cdf(tail)) ** 2
        wide = estimate_sorted(ordered, quantile, level, tick, factor)
    speeds = two_speeds(rounds, level)
    if speeds is None:
        return wide
    low, high = (speeds.quantile(rounds, quantile, one) for one in (speeds.low_share, speeds.high_share))
    value = plain.value
    return replace(
        plain,
        low=min(wide.low, value - math.hypot(value - min(low, value), value - plain.low)),
        high=max(wide.high, value + math.hypot(max(high, value) - value, plain.high - value)),
    )


def inflation(rounds: RoundSamples, value: float) -> float:
    """How many runs are worth one independent run, 1 or more.

    The part of runs below ``value`` is compared between up to twelve batches of successive rounds: its variance over
    that of independent draws. One that chance would give once in six times counts as 1.
    """
    sizes, below = _batches(rounds, value)
    share = below.sum() / sizes.sum()
    if len(sizes) < _FEWEST_BATCHES or not 0.0 < share < 1.0:
        return 1.0
    freedom = len(sizes) - 1
    found = float((sizes * (below / sizes - share) ** 2).sum() / freedom / (share * (1.0 - share)))
    return found if found > _by_chance(freedom) else 1.0


def _by_chance(freedom: int) -> float:
    """The variance ratio that independent runs exceed once in six times (Wilson and Hilferty's approximation)."""
    spread = 2.0 / (9.0 * freedom)
    return float((1.0 - spread + _INFLATION_DEVIATIONS * math.sqrt(spread)) ** 3)


def largest_shift(rounds: RoundSamples, quantile: float, limit: float) -> Shift | None:
    """The clearest change of speed beyond ``limit`` between two neighbouring rounds; None without a clear one.

    Every moment between two rounds is looked at: the mean rank of the runs before is compared with that after, as
    Mann and Whitney do, which no spike moves. The variance of the difference counts how much the rounds of either
    side hang together, so that a device that always flips between two speeds is not accused. Four deviations are
    clear, since many moments are looked at.
    """
    deviations = _rank_deviations(rounds)
    for split in np.argsort(-np.abs(deviations)):
        if abs(deviations[split]) < _SHIFT_DEVIATIONS:
            return None
        index = int(split) + 1
        before, after = (
            float(np.quantile(np.fromiter(chain.from_iterable(part), np.float64), quantile))
            for part in (rounds[:index], rounds[index:])
        )
        if before > 0.0 and abs(after / before - 1.0) > limit:
            return Shift(index, after / before - 1.0, abs(float(deviations[split])))
    return None


def _rank_deviations(rounds: RoundSamples) -> NDArray[np.float64]:
    """For each split into rounds before and after: the difference of their mean ranks over its own deviation.

    Shape (rounds - 1,); positive where the later runs are longer.
    """
    sizes = np.array([len(one) for one in rounds], dtype=np.float64)
    ranks = _middle_ranks(np.fromiter(chain.from_iterable(rounds), np.float64))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
    sums, squares = np.add.reduceat(ranks, starts), np.add.reduceat(ranks**2, starts)
    count, total = np.cumsum(sizes)[:-1], np.cumsum(sums)[:-1]
    before, after = total / count, (sums.sum() - total) / (sizes.sum() - count)
    # What is left of each round's mean once its side's mean is taken off, for all splits at once.
    side = np.arange(len(rounds))[None, :] < np.arange(1, len(rounds))[:, None]
    left = sums / sizes - np.where(side, before[:, None], after[:, None])
    within = (squares - sums**2 / sizes).sum()
    between = (sizes * left**2).sum(axis=1)
    variance = np.maximum((within + between) / (sizes.sum() - 2.0), 1e-12)
    freedom = max(len(rounds) - 2, 1)
    factor = between / freedom / variance
    factor = np.where(factor > _by_chance(freedom), factor, 1.0)
    factor *= _persistence(left)
    spread = np.sqrt(variance * factor * (1.0 / count + 1.0 / (sizes.sum() - count)))
    deviations: NDArray[np.float64] = (after - before) / spread
    return deviations


def _persistence(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the variance of a mean grows because neighbouring rounds resemble each other, 1 or more.

    Shape (splits, rounds) to (splits,). Of a first-order autoregression, where chance does not explain it.
    """
    squares = (left**2).sum(axis=1)
    correlation = (left[:, 1:] * left[:, :-1]).sum(axis=1) / np.maximum(squares, 1e-12)
    correlation = np.clip(correlation, 0.0, 0.9)
    clear = correlation > _CORRELATION_DEVIATIONS / math.sqrt(left.shape[1])
    factor: NDArray[np.float64] = np.where(clear, (1.0 + correlation) / (1.0 - correlation), 1.0)
    return factor


def _middle_ranks(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks over their count; equal samples share the middle one of theirs."""
    ordered = np.sort(samples)
    first, last = (np.searchsorted(ordered, samples, side) for side in ("left", "right"))
    ranks: NDArray[np.float64] = (first + last) / (2.0 * len(samples))
    return ranks


def _batches(rounds: RoundSamples, value: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sizes of batches of successive rounds, and how many runs in each are below ``value``, ties by half."""
    sizes = np.array([len(one) for one in rounds], dtype=np.float64)
    samples = np.fromiter(chain.from_iterable(rounds), np.float64)
    below = (samples < value) + 0.5 * (samples == value)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
    counts = np.add.reduceat(below, starts)
    groups: Sequence[NDArray[np.intp]] = np.array_split(
        np.arange(len(rounds)), min(len(rounds), _MOST_BATCHES)
    )
    return (
        np.array([sizes[group].sum() for group in groups]),
        np.array([counts[group].sum() for group in groups]),
    )
