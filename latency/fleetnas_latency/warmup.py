"""When a network runs at its steady speed, and how finely its clock can tell."""

__all__ = ["WarmUp", "clock_tick_ms", "loop_count", "warm_up"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from fleetnas_latency.plan import Clock, Plan, Runner, RunTimes
from fleetnas_latency.statistics import Series

_WINDOW_RUN_COUNT = 3
_WINDOW_DURATION_S = 0.1
_STEADY_WINDOW_COUNT = 3
_FEWEST_READINGS = 3
_NS_PER_MS = 1e6
_LOOP_CAP = 10_000
_ROUNDING = 1e-9  # a reading that is a float may be off by its last bit: no loop of 51 where 50 do
_BLIND_LOOP_COUNTS = (10, 100, 1_000)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Runs that were thrown away.

    Attributes:
        candidate, anchor: Their times, in order; one inference each.
        duration_s: From the first to the last, the anchor's included.
        steady: Whether evidence ended it; else the cap did.
    """

    candidate: tuple[RunTimes, ...]
    anchor: tuple[RunTimes, ...]
    duration_s: float
    steady: bool


def warm_up(candidate: Runner, anchor: Runner | None, plan: Plan, clock: Clock) -> WarmUp:
    """Runs until the median wall time of three successive windows moved less than the plan's tolerance.

    A window is at least three runs and 0.1 s. Wall time is watched whatever the headline is, since frequency
    and caches show in it. The anchor runs once at the start of each window: it warms up as well, and the caches
    are in the state that interleaving will leave them in.
    """
    start_s = clock()
    candidate_runs: list[RunTimes] = []
    anchor_runs: list[RunTimes] = []
    medians_ms: list[float] = []
    steady = False
    while (not steady and clock() - start_s < plan.warmup_cap_s) or not candidate_runs:
        if anchor is not None:
            anchor_runs.append(anchor.run(1))
        window = _window(candidate, start_s + plan.warmup_cap_s, clock)
        candidate_runs += window
        medians_ms.append(median(one.wall_ms for one in window))
        steady = _is_steady(medians_ms, plan.warmup_tolerance) and clock() - start_s >= plan.warmup_min_s
    return WarmUp(tuple(candidate_runs), tuple(anchor_runs), clock() - start_s, steady)


def clock_tick_ms(readings_ms: Sequence[float]) -> float:
    """The largest step that every reading is a whole multiple of, milliseconds; 0 when it cannot be told.

    Nanosecond clocks give a nanosecond or a few, a browser that rounds to 0.1 ms gives 0.1. Readings that are all
    equal give themselves, which is the safe side: the loop gets longer.
    """
    if len(readings_ms) < _FEWEST_READINGS:
        return 0.0
    return math.gcd(*(round(reading * _NS_PER_MS) for reading in readings_ms)) / _NS_PER_MS


def loop_count(
    runner: Runner, runs: Sequence[RunTimes], series: Series, tick_ms: float, tick_count: int
) -> int:
    """How many inferences one timed loop needs to last ``tick_count`` ticks; 1 where one inference does.

    Args:
        runs: Single inferences of ``runner``. Where the clock saw none of them, longer loops are tried until it
            sees one, which then lasted about a tick.
    """
    mean_ms = sum(series.of(one.wall_ms, one.cpu_ms) for one in runs) / len(runs)
    if mean_ms > 0.0:
        return min(max(math.ceil(tick_count * tick_ms / mean_ms - _ROUNDING), 1), _LOOP_CAP)
    for count in _BLIND_LOOP_COUNTS:
        times = runner.run(count)
        if series.of(times.wall_ms, times.cpu_ms) > 0.0:
            return min(count * tick_count, _LOOP_CAP)
    return _LOOP_CAP


def _window(runner: Runner, cap_s: float, clock: Clock) -> list[RunTimes]:
    start_s = clock()
    runs = [runner.run(1)]
    while clock() < cap_s and (len(runs) < _WINDOW_RUN_COUNT or clock() - start_s < _WINDOW_DURATION_S):
        runs.append(runner.run(1))
    return runs


def _is_steady(medians_ms: Sequence[float], tolerance: float) -> bool:
    recent = medians_ms[-_STEADY_WINDOW_COUNT - 1 :]
    if len(recent) <= _STEADY_WINDOW_COUNT:
        return False
    moves = (abs(new - old) <= tolerance * old for old, new in pairwise(recent))
    return all(moves)
