"""Whether a result can have been measured at all: agents and pages run on other people's machines and clocks.

Pure. What passes may still be a lie; what does not pass would break a table, a search or a report.
"""

__all__ = ["check_evidence", "check_result", "check_runs"]

import math
from collections.abc import Sequence

import numpy as np

from fleetnas_controller.jobs import MeasurementRequest
from fleetnas_latency.measurement import Measurement, OperatorTime, Plan, RawMeasurement, RunSeries, Verdict
from fleetnas_latency.statistics import Estimate, Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError

_MOST_FACTS = 200
_MOST_FACT_CHARACTERS = 2000
_MOST_DIGEST_NUMBERS = 100
_MOST_INNER_COUNT = 10_000_000
_MOST_WARMUP_RUNS = 100_000_000
_MOST_OPERATORS = 1000
_MOST_THREADS = 4096
# Of a played device, whose time passes faster than ours.
_LONGEST_PLAYED_S = 30 * 86_400.0
_ROUNDING = 1e-6
# Of an 'ok' measurement: half its interval over the value. Plans ask for a hundredth or so.
_WIDEST = 10.0


def check_result(result: Measurement, request: MeasurementRequest, target: Target | None) -> None:
    """Args:
        result: With as many companions as ``request`` names.

    Raises:
        InvalidArgumentError: With the value that cannot be.
    """
    if target is None:
        raise InvalidArgumentError("it does not say which target it is a latency of")
    _check_target(target)
    total_s = _LONGEST_PLAYED_S if target.stand_in == "replay" else request.limits.total_s
    for one in result.batch:
        _check_network(one, request.plan, total_s, result.raw.anchor)
    if any(one.companions for one in result.companions):
        raise InvalidArgumentError("a companion has companions of its own")
    spent_s = sum(_spent_s(one.raw) for one in result.batch)
    _check("the time of all networks' runs together", spent_s, "s", high=total_s)


def check_runs(raw: RawMeasurement, plan: Plan, total_s: float) -> None:
    """Args:
        total_s: How long the attempt may have taken.

    Raises:
        InvalidArgumentError: With the value that cannot be.
    """
    if not raw.candidate.wall_ms:
        raise InvalidArgumentError("it has no run")
    for name, series in (("candidate", raw.candidate), ("anchor", raw.anchor)):
        _check_series(name, series, plan, raw.round_count, total_s)
    _check("the clock's tick", raw.tick_ms, "ms", high=total_s * 1e3)
    _check("the number of runs of the warm-up", raw.warmup_run_count, high=_MOST_WARMUP_RUNS)
    _check("the warm-up's duration", raw.warmup_duration_s, "s", high=total_s)
    _check("the sampling's duration", raw.sampling_duration_s, "s", high=total_s)
    _check("the time of all runs together", _spent_s(raw), "s", high=total_s)


def check_evidence(facts: Sequence[tuple[str, str]], digest: Sequence[float]) -> None:
    """Raises InvalidArgumentError when there is more of it than anybody needs."""
    _check("the length of the output's digest", len(digest), high=_MOST_DIGEST_NUMBERS)
    _check("the number of facts", len(facts), high=_MOST_FACTS)
    for key, value in facts:
        _check(f"the length of fact '{key[:40]}'", len(key) + len(value), high=_MOST_FACT_CHARACTERS)


def _check_network(result: Measurement, plan: Plan, total_s: float, anchor: RunSeries) -> None:
    """Args: ``anchor`` are the runs that the whole batch shares."""
    raw = result.raw
    check_runs(raw, plan, total_s)
    check_evidence(result.evidence, result.digest)
    if result.statistic is not plan.statistic:
        raise InvalidArgumentError(f"its headline is '{result.statistic}', '{plan.statistic}' was asked for")
    for one in result.others:
        _check_estimate(f"the {one.statistic}", one.estimate, raw.candidate, one.statistic, raw.tick_ms)
    _check_estimate("the headline", result.estimate, raw.candidate, result.statistic, raw.tick_ms)
    if result.anchor is not None:
        _check_estimate("the anchor", result.anchor, anchor, result.statistic, raw.tick_ms)
    if result.ratio is not None:
        _check_ratio(result.ratio, raw.candidate, anchor, result.statistic)
    _check("wall over CPU time", result.contention, high=_most_contention(raw.candidate))
    drifting = anchor if anchor.wall_ms else raw.candidate
    _check("the drift", result.drift, low=-1.0, high=_most_drift(drifting.samples(result.statistic)))
    _check("the length of the reason", len(result.reason), high=_MOST_FACT_CHARACTERS)
    _check_operators(result.operators, total_s)
    if result.verdict is Verdict.OK:
        _check_ok(result)


def _check_ok(result: Measurement) -> None:
    """What is believed has to be a latency of an output that is one."""
    intervals = [one for one in (result.estimate, result.anchor, result.ratio) if one is not None]
    for one in (*intervals, *(two.estimate for two in result.others if two.estimate.value > 0.0)):
        if not one.relative_half_width <= _WIDEST:
            raise InvalidArgumentError(
                f"its verdict is 'ok' with {one.value:g} in {one.low:g} to {one.high:g}"
            )
    for number in result.digest:
        if not math.isfinite(number):
            raise InvalidArgumentError(f"its verdict is 'ok' with {number:g} in the output's digest")


def _check_series(name: str, series: RunSeries, plan: Plan, round_count: int, total_s: float) -> None:
    lengths = len(series.wall_ms), len(series.cpu_ms), len(series.rounds)
    if len(set(lengths)) > 1:
        raise InvalidArgumentError("the {} has {} runs, {} CPU times and {} rounds".format(name, *lengths))
    # The cap is looked at after a round, and a round has at most half as many; a series that is done runs once
    # more in each round of the others.
    most = 2 * plan.max_run_count
    _check("the number of rounds", round_count, high=most)
    _check(f"the number of runs of the {name}", lengths[0], high=most + round_count)
    _check(
        f"the number of inferences in a run of the {name}", series.inner_count, low=1, high=_MOST_INNER_COUNT
    )
    _check_all(f"a run of the {name}", series.wall_ms, "ms", total_s * 1e3)
    _check_all(f"a run of the {name}", series.cpu_ms, "ms of CPU time", total_s * 1e3 * _MOST_THREADS)
    steps = np.diff(np.asarray(series.rounds, dtype=np.int64), prepend=-1)
    wrong = np.flatnonzero((steps < 0) | (steps > 1))
    if len(wrong):
        index = int(wrong[0])
        before = f"round {series.rounds[index - 1]}" if index else "none"
        raise InvalidArgumentError(f"round {series.rounds[index]} of the {name} comes after {before}")


def _check_estimate(
    name: str, found: Estimate, series: RunSeries, statistic: Statistic, tick_ms: float
) -> None:
    """Against the samples between which the quantile lies, give or take the clock's tick."""
    _check_interval(name, found)
    ordered = np.sort(np.asarray(series.samples(statistic)))
    if not len(ordered):
        raise InvalidArgumentError(f"{name} is {found.value:g} ms of no run")
    position = statistic.quantile * (len(ordered) - 1)
    low_ms, high_ms = float(ordered[math.floor(position)]), float(ordered[math.ceil(position)])
    slack_ms = tick_ms / series.inner_count + _ROUNDING * high_ms
    if not low_ms - slack_ms <= found.value <= high_ms + slack_ms:
        raise InvalidArgumentError(f"{name} is {found.value:g} ms, its runs say {low_ms:g} to {high_ms:g} ms")


def _check_ratio(found: Estimate, candidate: RunSeries, anchor: RunSeries, statistic: Statistic) -> None:
    _check_interval("the ratio to the anchor", found)
    above, below = candidate.samples(statistic), anchor.samples(statistic)
    if not above or not below or not min(below) > 0.0:
        raise InvalidArgumentError(f"the ratio to the anchor is {found.value:g} without runs of both")
    low, high = min(above) / max(below), max(above) / min(below)
    if not (low * (1.0 - _ROUNDING) <= found.value <= high * (1.0 + _ROUNDING) and found.value > 0.0):
        raise InvalidArgumentError(
            f"the ratio to the anchor is {found.value:g}, its runs say {low:g} to {high:g}"
        )


def _check_interval(name: str, found: Estimate) -> None:
    _check(name, found.value)
    for end in (found.low, found.high):
        _check(f"an end of the interval of {name}", end, low=-math.inf)
    if not found.low <= found.value <= found.high:
        raise InvalidArgumentError(f"{name} is {found.value:g} in {found.low:g} to {found.high:g}")
    if not 0.0 < found.level < 1.0:
        raise InvalidArgumentError(f"the level of {name} is {found.level:g}, not between 0 and 1")


def _check_operators(operators: Sequence[OperatorTime], total_s: float) -> None:
    _check("the number of operators", len(operators), high=_MOST_OPERATORS)
    for one in operators:
        _check("the length of an operator's name", len(one.name) + len(one.kind), high=_MOST_FACT_CHARACTERS)
        _check(f"operator '{one.name[:40]}'", one.median_ms, "ms", high=total_s * 1e3)
        _check(f"the share of operator '{one.name[:40]}'", one.share, high=1.0 + _ROUNDING)


def _check_target(target: Target) -> None:
    _check("the number of threads", target.thread_count, low=1, high=_MOST_THREADS)
    _check("the length of the target", len(target.key), low=1, high=_MOST_FACT_CHARACTERS)
    if not (target.device_model and target.runtime):
        raise InvalidArgumentError(f"its target '{target.key[:80]}' has no device model or no runtime")


def _most_contention(series: RunSeries) -> float:
    wall_ms, cpu_ms = np.asarray(series.wall_ms), np.asarray(series.cpu_ms)
    known = cpu_ms > 0.0
    return (1.0 + _ROUNDING) * float((wall_ms[known] / cpu_ms[known]).max()) if known.any() else 0.0


def _most_drift(samples: Sequence[float]) -> float:
    return max(samples) / min(samples) if min(samples) > 0.0 else math.inf


def _spent_s(raw: RawMeasurement) -> float:
    return sum(sum(one.wall_ms) * one.inner_count for one in (raw.candidate, raw.anchor)) / 1e3


def _check_all(what: str, values: Sequence[float], unit: str, high: float) -> None:
    """As ``_check`` for each; a result may have tens of thousands."""
    found = np.asarray(values)
    if not np.all((found >= 0.0) & (found <= high)):
        for one in values:
            _check(what, one, unit, high=high)


def _check(what: str, value: float, unit: str = "", *, low: float = 0, high: float = math.inf) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise InvalidArgumentError(f"{what} is {value:g} {unit}".rstrip())
