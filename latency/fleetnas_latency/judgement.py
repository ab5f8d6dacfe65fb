"""What to think of a measurement: its estimates, and whether it may train the table."""

__all__ = ["Evidence", "Measurement", "StatisticEstimate", "Verdict", "in_one", "judge"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from statistics import median

from fleetnas_latency.anchored_batch import AnchorDrift
from fleetnas_latency.digest import digests_agree
from fleetnas_latency.operator_times import OperatorTime
from fleetnas_latency.plan import Plan
from fleetnas_latency.rounds import Shift, estimate_rounds, largest_shift
from fleetnas_latency.sampling import RawMeasurement, RunSeries, StopReason
from fleetnas_latency.speeds import two_speeds
from fleetnas_latency.statistics import Estimate, RoundSamples, Series, Statistic, estimate, ratio_estimate
from fleetnas_search_spaces.errors import InvalidArgumentError

_FEWEST_ROUNDS_FOR_DRIFT = 6


class Verdict(StrEnum):
    """Only OK trains the table; the others are kept and shown with what to do."""

    OK = "ok"
    NOT_CONVERGED = "not_converged"
    THROTTLED = "throttled"
    CONTENDED = "contended"
    WRONG_OUTPUT = "wrong_output"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen around the runs.

    Attributes:
        facts: By name, e.g. ``("governor", "performance")``; a fact the platform does not give is left out.
        digest: ``digest.output_digest`` of the candidate's output; empty when there was no output to see.
        reference_digest: The same from a trusted runtime on the same input; empty when unknown.
        anchor_drift: Of the batch that the network was measured in; None outside batches.
    """

    facts: tuple[tuple[str, str], ...] = ()
    digest: tuple[float, ...] = ()
    reference_digest: tuple[float, ...] = ()
    anchor_drift: AnchorDrift | None = None


@dataclass(frozen=True, slots=True)
class StatisticEstimate:
    """One statistic of the candidate, milliseconds."""

    statistic: Statistic
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Measurement:
    """A judged measurement.

    Attributes:
        estimate: The headline ``statistic``, milliseconds.
        others: Every statistic that the clocks allow, the headline's too.
        anchor: The headline statistic of the anchor, milliseconds; None without an anchor.
        ratio: Candidate over anchor from interleaved rounds; None without an anchor.
        contention: Median wall over CPU time of the candidate's runs; 0 where no CPU time is known.
        drift: Relative change from the first to the last third of the rounds, of the anchor where there is one.
        reason: One sentence: why this verdict, and what to do.
        evidence, digest: From ``Evidence``.
        operators: What each operator takes; empty where it was not asked for or the runtime does not tell.
        companions: Of the other networks that took turns with this one, in the request's order; their ``raw``
            lacks the anchor's runs, which are this one's.
    """

    raw: RawMeasurement
    statistic: Statistic
    estimate: Estimate
    others: tuple[StatisticEstimate, ...]
    verdict: Verdict
    reason: str
    anchor: Estimate | None = None
    ratio: Estimate | None = None
    contention: float = 0.0
    drift: float = 0.0
    evidence: tuple[tuple[str, str], ...] = ()
    digest: tuple[float, ...] = ()
    operators: tuple[OperatorTime, ...] = ()
    companions: tuple["Measurement", ...] = ()

    @property
    def batch(self) -> tuple["Measurement", ...]:
        """This one and its companions."""
        return (self, *self.companions)


def judge(raw: RawMeasurement, plan: Plan, evidence: Evidence) -> Measurement:
    """Estimates every statistic and gives the gravest verdict that holds.

    In this order: wrong output (the number is of another network), contended (a cause of the next two),
    throttled, not converged.

    Raises:
        InvalidArgumentError: ``raw`` has no run, or a clock that the headline needs read nothing.
    """
    headline = plan.statistic
    if not raw.candidate.wall_ms or not any(raw.candidate.samples(headline)):
        raise InvalidArgumentError(
            f"the measurement has no run with a '{headline}': measure again, or ask for 'wall_median'"
        )
    has_anchor = bool(raw.anchor.wall_ms)
    measured = _headline(raw.candidate, raw.tick_ms, plan)
    contention = _contention(raw.candidate)
    drift = _drift(raw.anchor if has_anchor else raw.candidate, plan)
    verdict, reason = (
        _wrong_output(evidence, plan)
        or _contended(contention, plan)
        or _drifted(evidence.anchor_drift, plan)
        or _throttled(_shift(raw, plan), raw, plan)
        or _not_converged(raw, measured, plan)
        or (Verdict.OK, f"converged after {len(raw.candidate.wall_ms)} runs in {raw.round_count} rounds")
    )
    return Measurement(
        raw=raw,
        statistic=headline,
        estimate=measured,
        others=_all_statistics(raw, plan, measured),
        verdict=verdict,
        reason=reason,
        anchor=_headline(raw.anchor, raw.tick_ms, plan) if has_anchor else None,
        ratio=_ratio(raw, plan) if has_anchor else None,
        contention=contention,
        drift=drift,
        evidence=evidence.facts,
        digest=evidence.digest,
    )


def in_one(results: Sequence[Measurement]) -> Measurement:
    """The networks of a batch as the first with the others as its companions; one alone is itself."""
    others = (replace(one, raw=replace(one.raw, anchor=RunSeries())) for one in results[1:])
    return replace(results[0], companions=tuple(others))


_Finding = tuple[Verdict, str]


def _wrong_output(evidence: Evidence, plan: Plan) -> _Finding | None:
    if not all(map(math.isfinite, evidence.digest)):
        return Verdict.WRONG_OUTPUT, "the output is not finite: check the exported model on this runtime"
    if not evidence.reference_digest or digests_agree(
        evidence.digest, evidence.reference_digest, plan.digest_tolerance
    ):
        return None
    return Verdict.WRONG_OUTPUT, (
        f"the output differs from the reference by more than {plan.digest_tolerance:g}: check the model file "
        "and the runtime's version"
    )


def _contended(contention: float, plan: Plan) -> _Finding | None:
    wall = plan.statistic.series is Series.WALL
    limit = plan.contention_limit if wall else plan.cpu_contention_limit
    # Several threads add up their CPU time, which then says nothing about waiting.
    if plan.thread_count > 1 or contention <= limit:
        return None
    return Verdict.CONTENDED, (
        f"the median run took {contention:.2f} times its CPU time (limit {limit:g}): other work has the core, "
        "stop it or pin to a free core"
    )


def _drifted(drift: AnchorDrift | None, plan: Plan) -> _Finding | None:
    if drift is None or not drift.exceeds(plan.drift_limit):
        return None
    return Verdict.THROTTLED, (
        f"the anchor took {drift.before.value:.4g} ms before the batch and {drift.after.value:.4g} ms after it "
        f"({drift.change:+.1%}, limit {plan.drift_limit:.0%}), even after {drift.repeat_count} rests: let the device "
        "cool down or fix its frequency, then measure again"
    )


def _throttled(shift: Shift | None, raw: RawMeasurement, plan: Plan) -> _Finding | None:
    if shift is None:
        return None
    return Verdict.THROTTLED, (
        f"the device became {abs(shift.change):.1%} {'slower' if shift.change > 0.0 else 'faster'} after round "
        f"{shift.round_index} of {raw.round_count} (limit {plan.drift_limit:.0%}): let it cool down or fix its "
        "frequency, then measure again"
    )


def _not_converged(raw: RawMeasurement, measured: Estimate, plan: Plan) -> _Finding | None:
    """The run cap is no fault where the interval is as narrow as asked: more runs would say the same.

    Too few rounds are one: runs of one moment may all be alike and say nothing of the next.
    """
    if raw.stop_reason is StopReason.CONVERGED:
        return None
    run_count = len(raw.candidate.wall_ms)
    more = "more runs" if raw.stop_reason is StopReason.RUN_CAP else "more time"
    done = f"{run_count} runs in {raw.round_count} rounds and {raw.sampling_duration_s:.1f} s"
    if not plan.is_met_by(measured):
        speeds = two_speeds(raw.candidate.by_round(plan.statistic), plan.level)
        if speeds is not None:
            return Verdict.NOT_CONVERGED, (
                f"the device changes between two speeds, {speeds.gap:.1%} apart ({speeds.change_count} changes in "
                f"{done}), slow for {speeds.low_share:.0%} to {speeds.high_share:.0%} of the time: fix its "
                "frequency or allow more time"
            )
        return Verdict.NOT_CONVERGED, (
            f"the interval is +-{measured.relative_half_width:.1%} after {done}, asked was "
            f"+-{plan.relative_half_width:.1%}: allow {more} or a wider interval"
        )
    if raw.stop_reason is StopReason.RUN_CAP and raw.round_count >= plan.min_round_count:
        return None
    return Verdict.NOT_CONVERGED, (
        f"{done} are fewer than the {plan.min_run_count} runs in {plan.min_round_count} rounds asked for: "
        f"allow {more}"
    )


def _contention(candidate: RunSeries) -> float:
    ratios = [wall / cpu for wall, cpu in zip(candidate.wall_ms, candidate.cpu_ms, strict=True) if cpu > 0.0]
    return median(ratios) if ratios else 0.0


def _headline(series: RunSeries, tick_ms: float, plan: Plan) -> Estimate:
    tick = tick_ms / series.inner_count
    return estimate_rounds(series.by_round(plan.statistic), plan.statistic.quantile, plan.level, tick)


def _drift(series: RunSeries, plan: Plan) -> float:
    """Change of the headline from the first to the last third of the rounds."""
    rounds = series.by_round(plan.statistic)
    if len(rounds) < _FEWEST_ROUNDS_FOR_DRIFT:
        return 0.0
    third = len(rounds) // 3
    first, last = (
        estimate([sample for one in part for sample in one], plan.statistic.quantile, plan.level).value
        for part in (rounds[:third], rounds[-third:])
    )
    return last / first - 1.0 if first > 0.0 else 0.0


def _shift(raw: RawMeasurement, plan: Plan) -> Shift | None:
    """A change of the device's speed, in which candidate and anchor are seen together: it changes both."""
    rounds = [
        _relative(series.by_round(plan.statistic), plan.statistic.quantile)
        for series in (raw.candidate, raw.anchor)
        if series.wall_ms
    ]
    together = [tuple(chain.from_iterable(parts)) for parts in zip(*rounds, strict=True)]
    if len(together) < _FEWEST_ROUNDS_FOR_DRIFT:
        return None
    return largest_shift(together, plan.statistic.quantile, plan.drift_limit)


def _relative(rounds: RoundSamples, quantile: float) -> list[list[float]]:
    """The samples over their common quantile."""
    scale = estimate([sample for one in rounds for sample in one], quantile).value
    return [[sample / scale for sample in one] if scale > 0.0 else list(one) for one in rounds]


def _all_statistics(raw: RawMeasurement, plan: Plan, measured: Estimate) -> tuple[StatisticEstimate, ...]:
    """The headline's own estimate among them; the clock's resolution is known for the headline's clock only."""
    return tuple(
        StatisticEstimate(
            one,
            measured
            if one is plan.statistic
            else estimate_rounds(raw.candidate.by_round(one), one.quantile, plan.level),
        )
        for one in Statistic
        if any(raw.candidate.samples(one))
    )


def _ratio(raw: RawMeasurement, plan: Plan) -> Estimate:
    headline = plan.statistic
    return ratio_estimate(
        raw.candidate.by_round(headline), raw.anchor.by_round(headline), headline.quantile, plan.level
    )
