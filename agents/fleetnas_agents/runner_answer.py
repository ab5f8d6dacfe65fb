"""What the native runner answers, judged. Pure."""

__all__ = ["fault_of", "measurement_of"]

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_latency.measurement import (
    AnchorDrift,
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    RunSeries,
    StopReason,
    in_one,
    judge,
)
from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.statistics import Estimate
from fleetnas_search_spaces.errors import FleetNASError


def measurement_of(
    answer: str, plan: Plan, facts: Mapping[str, str], own_facts: Sequence[Mapping[str, str]] = ({},)
) -> Measurement:
    """Judges the runner's ``result`` line.

    Args:
        facts: What the agent saw around the runs, beside what the runner saw.
        own_facts: Of each network, in the job's order.

    Returns:
        The first network's; those of the others are its companions.

    Raises:
        MeasureError: It is no result: whoever wrote it, a crashing runner for one, cannot be believed.
    """
    try:
        content = json.loads(answer)
        drift = _drift(content, plan)
        seen = _facts(content["before"], content["after"]) | dict(facts)
        seen |= drift.facts() if drift is not None else {}
        anchor = _series(content["anchor"])
        results = []
        for network, own in zip(content["networks"], own_facts, strict=True):
            digest = tuple(float(part) for part in network["digest"])
            evidence = Evidence(tuple(sorted((seen | dict(own)).items())), digest, anchor_drift=drift)
            results.append(judge(_raw(content, network, anchor, plan), plan, evidence))
        return in_one(results)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise MeasureError(FaultKind.CRASH, f"the runner sent a broken result: {error}") from error
    except FleetNASError as error:
        raise MeasureError(FaultKind.CRASH, f"the runner's result cannot be judged: {error}") from error


def fault_of(line: str) -> MeasureError:
    """What a ``fault KIND MESSAGE`` line says, without its first word."""
    kind, _, message = line.partition(" ")
    known = kind if kind in FaultKind.__members__.values() else FaultKind.CRASH
    return MeasureError(FaultKind(known), message or "the runner gave up without a reason")


def _raw(
    content: Mapping[str, Any], network: Mapping[str, Any], anchor: RunSeries, plan: Plan
) -> RawMeasurement:
    candidate = _series(network["series"])
    tick_ms = _tick_ms(content)
    spans = [float(network["warmup_duration_s"]), float(content["sampling_duration_s"])]
    if not all(math.isfinite(one) and one >= 0.0 for one in spans):
        raise ValueError(f"a duration among {spans} is none")
    raw = RawMeasurement(
        candidate=candidate,
        anchor=anchor,
        warmup_duration_s=spans[0],
        warmup_run_count=int(network["warmup_run_count"]),
        warmup_steady=bool(network["warmup_steady"]),
        sampling_duration_s=spans[1],
        tick_ms=tick_ms,
        stop_reason=StopReason(network["stop_reason"]),
    )
    return replace(raw, stop_reason=_stop_reason(raw, plan))


def _tick_ms(content: Mapping[str, Any]) -> float:
    tick_ms = float(content["tick_ns"]) / 1e6
    if not (math.isfinite(tick_ms) and tick_ms >= 0.0):
        raise ValueError(f"a tick of {tick_ms} ms is none")
    return tick_ms


def _drift(content: Mapping[str, Any], plan: Plan) -> AnchorDrift | None:
    """Of the two looks at the anchor around a batch."""
    looks = [_estimate(_series(one["series"]), _tick_ms(one), plan) for one in content["looks"]]
    if not looks:
        return None
    before, after = looks
    return AnchorDrift(before, after, int(content["repeat_count"]))


def _estimate(series: RunSeries, tick_ms: float, plan: Plan) -> Estimate:
    rounds = series.by_round(plan.statistic)
    return estimate_rounds(rounds, plan.statistic.quantile, plan.level, tick_ms / series.inner_count)


def _series(content: Mapping[str, Any]) -> RunSeries:
    inner_count = int(content["inner_count"])
    wall, cpu = (_milliseconds(content[name], inner_count) for name in ("wall_ns", "cpu_ns"))
    rounds = tuple(int(one) for one in content["rounds"])
    if not len(wall) == len(cpu) == len(rounds):
        raise ValueError(f"{len(wall)} wall times, {len(cpu)} CPU times, {len(rounds)} rounds")
    return RunSeries(wall, cpu, rounds, inner_count)


def _milliseconds(values_ns: list[int], inner_count: int) -> tuple[float, ...]:
    return tuple(int(one) / inner_count / 1e6 for one in values_ns)


def _stop_reason(raw: RawMeasurement, plan: Plan) -> StopReason:
    """The runner's word, unless the runs themselves say that they did not converge."""
    if raw.stop_reason is not StopReason.CONVERGED or not any(raw.candidate.samples(plan.statistic)):
        return raw.stop_reason
    enough = raw.round_count >= plan.min_round_count and len(raw.candidate.wall_ms) >= plan.min_run_count
    found = _estimate(raw.candidate, raw.tick_ms, plan)
    # The runner reckons in nanoseconds.
    narrow = found.level >= plan.level and found.relative_half_width <= plan.relative_half_width * (
        1.0 + 1e-9
    )
    return raw.stop_reason if enough and narrow else StopReason.DURATION_CAP


def _facts(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    changed = {f"{name}_before": str(value) for name, value in before.items() if after.get(name) != value}
    return changed | {name: str(value) for name, value in after.items()}
