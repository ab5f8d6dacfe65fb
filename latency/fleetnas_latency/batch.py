"""Several networks that take turns: what disturbs one of them disturbs all."""

__all__ = ["measure_batch"]

from collections.abc import Callable, Sequence
from random import Random

from fleetnas_latency.plan import Clock, Plan, Runner
from fleetnas_latency.sampling import (
    RawMeasurement,
    RunSeries,
    StopReason,
    TimedSeries,
    headline_tick_ms,
    stop_reason,
)
from fleetnas_latency.warmup import warm_up
from fleetnas_search_spaces.errors import InvalidArgumentError


def measure_batch(
    candidates: Sequence[Runner],
    anchor: Runner | None,
    plan: Plan,
    clock: Clock,
    rng: Random,
    progress: Callable[[], None] = lambda: None,
) -> tuple[RawMeasurement, ...]:
    """Warms every network up, then runs rounds in which each has one turn, in another random order each time.

    On a busy machine the difference of two of twenty networks repeated to 2.0 % between sessions in turns of three
    runs, to 3.2 % where each was measured alone beside the anchor for as long, and to 22 % in a naive loop
    (``benchmarks/README.md``).

    Args:
        anchor: Gets one turn in each round like every other; ``plan.anchor_share`` is not looked at.
        plan: Its durations count for each network: ``n`` networks may take ``n`` times as long. The batch ends
            when every network has converged or is at a cap.

    Returns:
        One for each candidate, in their order, all with the same rounds and the same anchor.

    Raises:
        InvalidArgumentError: There is no candidate.
        FailedPreconditionError: The headline is CPU time and a runner reports none.
    """
    if not candidates:
        raise InvalidArgumentError("a batch without a network was asked for: give one at least")
    warm = []
    for one in candidates:
        warm.append(warm_up(one, anchor, plan, clock))
        progress()
    tick_ms = min(headline_tick_ms(one, plan) for one in warm)
    share = 1.0 / (len(candidates) + (anchor is not None))
    timed = [
        TimedSeries(one, seen.candidate, tick_ms, plan, share)
        for one, seen in zip(candidates, warm, strict=True)
    ]
    beside = [] if anchor is None else [TimedSeries(anchor, warm[-1].anchor, tick_ms, plan, share)]
    duration_s, reasons = _sample(timed, beside, plan, clock, rng, progress)
    return tuple(
        RawMeasurement(
            candidate=one.series(),
            anchor=beside[0].series() if beside else RunSeries(),
            warmup_duration_s=seen.duration_s,
            warmup_run_count=len(seen.candidate),
            warmup_steady=seen.steady,
            sampling_duration_s=duration_s,
            tick_ms=tick_ms,
            stop_reason=reason,
        )
        for one, seen, reason in zip(timed, warm, reasons, strict=True)
    )


def _sample(
    timed: Sequence[TimedSeries],
    beside: Sequence[TimedSeries],
    plan: Plan,
    clock: Clock,
    rng: Random,
    progress: Callable[[], None],
) -> tuple[float, list[StopReason]]:
    """Whole rounds until every network has a reason to stop; those that have one go on meanwhile."""
    everyone = [*timed, *beside]
    start_s = clock()
    round_index = 0
    while True:
        for one in rng.sample(everyone, len(everyone)):
            one.run_round(round_index)
        round_index += 1
        progress()
        duration_s = clock() - start_s
        reasons = [stop_reason(one, round_index, duration_s / len(timed), plan) for one in timed]
        known = [reason for reason in reasons if reason is not None]
        if len(known) == len(timed):
            return duration_s, known
