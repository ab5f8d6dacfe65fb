"""What is asked of a measurement, and what runs a network once."""

__all__ = ["QUOTED_MIN_S", "Clock", "Plan", "RunTimes", "Runner"]

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from fleetnas_latency.statistics import Estimate, Series, Statistic
from fleetnas_search_spaces.errors import InvalidArgumentError

QUOTED_MIN_S = 4.0
"""How long a device is watched at least for a latency that is quoted by itself.

One that stays half a second at each of two speeds often shows only one of them in a second, and seldom when it is
watched for four (``benchmarks/README.md``). Proposals of a search are many and compared with what ran
beside them: they make do with less.
"""

_LONGEST_S = 86_400.0

Clock = Callable[[], float]
"""Monotonic seconds from any origin, e.g. ``time.monotonic``; bounds warm-up and sampling, times no run."""


@dataclass(frozen=True, slots=True)
class RunTimes:
    """How long one inference took, or the mean one of a timed loop.

    Attributes:
        wall_ms: Elapsed time.
        cpu_ms: CPU time of the whole process over the same span; 0 where the platform does not tell.
    """

    wall_ms: float
    cpu_ms: float


class Runner(Protocol):
    """A loaded network with its input set; one exists for the candidate and one for the anchor."""

    def run(self, count: int) -> RunTimes:
        """Infers ``count`` times in one timed loop and returns the mean of one.

        Both clocks are read once before and once after the loop, so that a coarse clock is seen ``count`` times
        finer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure one network.

    Attributes:
        statistic: The headline; convergence is judged on it.
        level: Probability with which intervals cover.
        relative_half_width: Sampling stops once the headline's interval is within plus or minus this part.
        min_run_count, min_round_count, min_duration_s: Before that, at least these.
        max_run_count, max_duration_s: Whichever comes first ends sampling unconverged. The clock is read
            between rounds, so the last round may pass ``max_duration_s``.
        warmup_min_s, warmup_cap_s: Bounds of the warm-up, which ends by evidence in between.
        warmup_tolerance: A window counts as steady when its median moved less than this part.
        anchor_share: Part of the time in each round given to the anchor, 0 for none.
        round_duration_s: Candidate and anchor alternate this often; long runs alternate one by one.
        tick_count: Readings must last this many ticks of the clock, else an inner loop is timed.
        thread_count: Threads the runtime uses. Contention is judged at 1 only, where CPU time is a lower bound
            of the wall time.
        contention_limit: Highest median wall/CPU time for a wall headline. 1.2: on a shared machine the wall
            median's ratio to an interleaved anchor moved 7.6 % between light and heavy load.
        cpu_contention_limit: The same for a CPU headline. 2.0: below half a core the low quantile has not been
            seen to hold; above it the ratio to an interleaved anchor moved 1.9 % between light and heavy load.
        drift_limit: Largest change from the first to the last third of the rounds.
        digest_tolerance: Largest relative difference between output digests.
    """

    statistic: Statistic = Statistic.WALL_MEDIAN
    level: float = 0.95
    relative_half_width: float = 0.01
    min_run_count: int = 30
    max_run_count: int = 20_000
    min_round_count: int = 10
    min_duration_s: float = 1.0
    max_duration_s: float = 20.0
    warmup_min_s: float = 0.5
    warmup_cap_s: float = 5.0
    warmup_tolerance: float = 0.01
    anchor_share: float = 0.3
    round_duration_s: float = 0.1
    tick_count: int = 100
    thread_count: int = 1
    contention_limit: float = 1.2
    cpu_contention_limit: float = 2.0
    drift_limit: float = 0.03
    digest_tolerance: float = 1e-3

    def __post_init__(self) -> None:
        self._require_positive()
        if not 0.0 <= self.anchor_share < 1.0:
            raise InvalidArgumentError(
                f"`anchor_share` (={self.anchor_share}) must be at least 0 and below 1"
            )
        if not 0.0 < self.level < 1.0:
            raise InvalidArgumentError(f"`level` (={self.level}) must lie between 0 and 1, both excluded")
        for low, high in (
            ("warmup_min_s", "warmup_cap_s"),
            ("min_duration_s", "max_duration_s"),
            ("min_run_count", "max_run_count"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise InvalidArgumentError(
                    f"`{low}` (={getattr(self, low)}) is more than `{high}` (={getattr(self, high)}): "
                    "raise the latter"
                )
        if self.thread_count > 1 and self.statistic.series is Series.CPU:
            raise InvalidArgumentError(
                f"`statistic` (={self.statistic}) is CPU time, which is no latency with "
                f"{self.thread_count} threads: use {Statistic.WALL_MEDIAN} or one thread"
            )

    def is_met_by(self, measured: Estimate) -> bool:
        """Whether the headline's interval is narrow enough and reaches its level."""
        return measured.level >= self.level and measured.relative_half_width <= self.relative_half_width

    def _require_positive(self) -> None:
        names = (
            "relative_half_width",
            "min_run_count",
            "min_round_count",
            "max_duration_s",
            "warmup_tolerance",
            "round_duration_s",
            "tick_count",
            "thread_count",
            "contention_limit",
            "cpu_contention_limit",
            "drift_limit",
            "digest_tolerance",
        )
        for name in names:
            if not 0 < getattr(self, name) < inf:
                raise InvalidArgumentError(
                    f"`{name}` (={getattr(self, name)}) must be more than 0, and finite"
                )
        if self.max_duration_s > _LONGEST_S:
            raise InvalidArgumentError(
                f"`max_duration_s` (={self.max_duration_s:g}) must be {_LONGEST_S:g} s, a day, at most"
            )
        for name in ("min_duration_s", "warmup_min_s", "warmup_cap_s"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentError(f"`{name}` (={getattr(self, name)}) must be at least 0")
