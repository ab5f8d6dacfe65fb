"""Timing of a network beside an anchor, until the headline statistic is known well enough."""

__all__ = [
    "RawMeasurement",
    "RunSeries",
    "StopReason",
    "TimedSeries",
    "headline_tick_ms",
    "measure",
    "stop_reason",
]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from fleetnas_latency.plan import Clock, Plan, Runner, RunTimes
from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.statistics import Series, Statistic, estimate_sorted
from fleetnas_latency.warmup import WarmUp, clock_tick_ms, loop_count, warm_up
from fleetnas_search_spaces.errors import FailedPreconditionError

_LOOKS = 20


@dataclass(frozen=True, slots=True)
class RunSeries:
    """Every timed run of one network, in order.

    Attributes:
        wall_ms, cpu_ms: Of one inference; the mean one where an inner loop was timed.
        rounds: The round each run belongs to, from 0.
        inner_count: Inferences in each timed run.
    """

    wall_ms: tuple[float, ...] = ()
    cpu_ms: tuple[float, ...] = ()
    rounds: tuple[int, ...] = ()
    inner_count: int = 1

    @property
    def has_cpu_time(self) -> bool:
        return any(self.cpu_ms)

    def samples(self, statistic: Statistic) -> tuple[float, ...]:
        return self.wall_ms if statistic.series is Series.WALL else self.cpu_ms

    def by_round(self, statistic: Statistic) -> tuple[tuple[float, ...], ...]:
        """The samples of each round."""
        groups: dict[int, list[float]] = {}
        for index, sample in zip(self.rounds, self.samples(statistic), strict=True):
            groups.setdefault(index, []).append(sample)
        return tuple(tuple(groups[index]) for index in sorted(groups))


class StopReason(StrEnum):
    """What ended the sampling."""

    CONVERGED = "converged"
    DURATION_CAP = "duration_cap"
    RUN_CAP = "run_cap"


@dataclass(frozen=True, slots=True)
class RawMeasurement:
    """What was timed, before anybody judged it.

    Attributes:
        candidate, anchor: The runs; the anchor's are empty without one.
        warmup_duration_s, warmup_run_count: What was thrown away first; runs of the candidate.
        warmup_steady: Whether evidence ended the warm-up, not its cap.
        sampling_duration_s: From the first to the last timed run.
        tick_ms: Resolution of the headline's clock as seen in the readings; 0 when it could not be told.
    """

    candidate: RunSeries
    anchor: RunSeries = field(default_factory=RunSeries)
    warmup_duration_s: float = 0.0
    warmup_run_count: int = 0
    warmup_steady: bool = False
    sampling_duration_s: float = 0.0
    tick_ms: float = 0.0
    stop_reason: StopReason = StopReason.CONVERGED

    @property
    def inference_count(self) -> int:
        """Of the candidate, the warm-up's too."""
        return self.warmup_run_count + self.candidate.inner_count * len(self.candidate.wall_ms)

    @property
    def round_count(self) -> int:
        return self.candidate.rounds[-1] + 1 if self.candidate.rounds else 0


def measure(
    candidate: Runner,
    anchor: Runner | None,
    plan: Plan,
    clock: Clock,
    progress: Callable[[], None] = lambda: None,
) -> RawMeasurement:
    """Warms up, then times candidate and anchor in alternating order round by round.

    Stops after the first round that leaves the candidate's headline interval within the plan's width, or at a cap.

    Args:
        anchor: A fixed network in the same process, which sees the same weather; its share is
            ``plan.anchor_share``, and at a share of 0 it is not run.
        progress: Called after each round as a sign of life.

    Raises:
        FailedPreconditionError: The headline is CPU time and the runner reports none.
    """
    if plan.anchor_share == 0.0:
        anchor = None
    warm = warm_up(candidate, anchor, plan, clock)
    tick_ms = headline_tick_ms(warm, plan)
    share = plan.anchor_share if anchor is not None else 0.0
    timed = [TimedSeries(candidate, warm.candidate, tick_ms, plan, 1.0 - share)]
    if anchor is not None:
        timed.append(TimedSeries(anchor, warm.anchor, tick_ms, plan, share))
    duration_s, reason = _sample(timed, plan, clock, progress)
    return RawMeasurement(
        candidate=timed[0].series(),
        anchor=timed[1].series() if anchor is not None else RunSeries(),
        warmup_duration_s=warm.duration_s,
        warmup_run_count=len(warm.candidate),
        warmup_steady=warm.steady,
        sampling_duration_s=duration_s,
        tick_ms=tick_ms,
        stop_reason=reason,
    )


def headline_tick_ms(warm: WarmUp, plan: Plan) -> float:
    """Resolution of the headline's clock, milliseconds.

    Raises:
        FailedPreconditionError: The headline is CPU time and the runner reports none.
    """
    series = plan.statistic.series
    readings_ms = [series.of(one.wall_ms, one.cpu_ms) for one in warm.candidate]
    if series is Series.CPU and not any(readings_ms):
        raise FailedPreconditionError(
            f"statistic '{plan.statistic}' needs CPU time and the device reports none: ask for 'wall_median'."
        )
    return clock_tick_ms(readings_ms)


def _sample(
    timed: "list[TimedSeries]", plan: Plan, clock: Clock, progress: Callable[[], None]
) -> tuple[float, StopReason]:
    """Runs whole rounds until one of the reasons holds; the candidate is the first of ``timed``."""
    start_s = clock()
    round_index = 0
    while True:
        # Alternating order: what a network does to the next one's caches and heat falls on both alike.
        for one in timed if round_index % 2 == 0 else reversed(timed):
            one.run_round(round_index)
        round_index += 1
        progress()
        duration_s = clock() - start_s
        reason = stop_reason(timed[0], round_index, duration_s, plan)
        if reason is not None:
            return duration_s, reason


def stop_reason(timed: "TimedSeries", round_count: int, duration_s: float, plan: Plan) -> StopReason | None:
    """Why the sampling of one network may end after so many rounds and seconds; None: it goes on."""
    enough = (
        timed.run_count >= plan.min_run_count
        and round_count >= plan.min_round_count
        and duration_s >= plan.min_duration_s
    )
    capped = duration_s >= plan.max_duration_s or timed.run_count >= plan.max_run_count
    if enough and (capped or _is_due(round_count)) and timed.is_narrow(plan):
        return StopReason.CONVERGED
    if duration_s >= plan.max_duration_s:
        return StopReason.DURATION_CAP
    if timed.run_count >= plan.max_run_count:
        return StopReason.RUN_CAP
    return None


def _is_due(round_count: int) -> bool:
    """Whether the interval is looked at: once in each twentieth more rounds, since every look may stop by luck."""
    return round_count % max(1, round_count // _LOOKS) == 0


def _round_shape(inference_ms: float, inner_count: int, plan: Plan, share: float) -> tuple[int, int]:
    """Inferences in a timed loop, at least ``inner_count``, and loops in a round.

    A network of a few microseconds would use up ``max_run_count`` in the first rounds, before there is anything
    to see a drift in; its loops are made longer so that twice the fewest rounds fit below the cap.
    """
    if inference_ms <= 0.0:
        # A clock that read 0 for one inference says nothing of the loop's length.
        return inner_count, 1
    wanted_ms = plan.round_duration_s * 1e3 * share
    most = max(1, plan.max_run_count // (2 * plan.min_round_count))
    inner_count = max(inner_count, math.ceil(wanted_ms / (inference_ms * most)))
    return inner_count, max(1, round(wanted_ms / (inference_ms * inner_count)))


class TimedSeries:
    """Times one network, so many runs a round, and keeps every run."""

    def __init__(
        self, runner: Runner, warm: Sequence[RunTimes], tick_ms: float, plan: Plan, share: float
    ) -> None:
        self._runner = runner
        self._statistic = plan.statistic
        ticked = loop_count(runner, warm, plan.statistic.series, tick_ms, plan.tick_count)
        inference_ms = median(one.wall_ms for one in warm)
        self._inner_count, self._runs_per_round = _round_shape(inference_ms, ticked, plan, share)
        self.tick_ms = tick_ms / self._inner_count
        self._max_run_count = plan.max_run_count
        self._runs: list[RunTimes] = []
        self._rounds: list[int] = []
        self._ordered: list[float] = []

    @property
    def run_count(self) -> int:
        return len(self._runs)

    def run_round(self, round_index: int) -> None:
        # In a batch others may go on long after: the rounds stay comparable, the report stays small.
        count = self._runs_per_round if self.run_count < self._max_run_count else 1
        new = [self._runner.run(self._inner_count) for _ in range(count)]
        self._runs += new
        self._rounds += [round_index] * len(new)
        self._ordered += [self._statistic.series.of(one.wall_ms, one.cpu_ms) for one in new]
        # Nearly sorted already, which the built-in sort takes in linear time.
        self._ordered.sort()

    def is_narrow(self, plan: Plan) -> bool:
        """Whether the headline's interval is narrow enough and reaches its level."""
        quantile, tick_ms = plan.statistic.quantile, self.tick_ms
        if not plan.is_met_by(estimate_sorted(self._ordered, quantile, plan.level, tick_ms)):
            return False
        rounds = self.series().by_round(plan.statistic)
        return plan.is_met_by(estimate_rounds(rounds, quantile, plan.level, tick_ms))

    def series(self) -> RunSeries:
        return RunSeries(
            tuple(one.wall_ms for one in self._runs),
            tuple(one.cpu_ms for one in self._runs),
            tuple(self._rounds),
            self._inner_count,
        )
