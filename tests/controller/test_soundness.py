"""A sound result with one thing in it that no device can have measured."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.jobs import Limits, MeasurementRequest
from fleetnas_controller.soundness import check_result
from fleetnas_controller.wire import record_from_pb
from fleetnas_latency.measurement import (
    Evidence,
    Measurement,
    OperatorTime,
    Plan,
    RawMeasurement,
    RunSeries,
    StopReason,
    Verdict,
    in_one,
    judge,
)
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target
from fleetnas_protos.mirror import to_message
from fleetnas_protos.v1 import measurement_pb2
from fleetnas_search_spaces.errors import InvalidArgumentError

TARGET = Target("board", "onnxruntime", "1.0")
REQUEST = MeasurementRequest("m", (), "net.onnx", limits=Limits(total_s=600.0))
RUN_COUNT = 60


def series(scale: float) -> RunSeries:
    runs = tuple(scale * one for one in (1.0, 1.001, 0.999) * (RUN_COUNT // 3))
    return RunSeries(runs, runs, tuple(index // 6 for index in range(RUN_COUNT)))


def network(scale: float = 2.0) -> Measurement:
    raw = RawMeasurement(
        series(scale), series(1.0), 0.5, 100, True, 1.2, 1e-6, StopReason.CONVERGED
    )  # fmt: skip
    judged = judge(raw, Plan(), Evidence((("governor", "performance"),), (10.0, 1.0, 2.0, 0.5)))
    return replace(judged, operators=(OperatorTime("conv", "Conv", 0.5, 0.4),))


def message(result: Measurement) -> Any:
    return to_message(result, measurement_pb2.MeasurementResult)


def refused(spoilt: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        check_result(record_from_pb(spoilt, Measurement), REQUEST, TARGET)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def places(found: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each number of a message, by field names and indices; of a long list only to the middle one."""
    for field, value in found.ListFields():
        one = (*way, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            index = len(value) // 2
            inner = value[index]
            yield from places(inner, (*one, index)) if field.message_type else iter([(*one, index)])
        elif field.message_type is not None:
            yield from places(value, one)
        elif field.cpp_type == field.CPPTYPE_DOUBLE:
            yield one


def spoil(result: Any, way: tuple[Any, ...], value: float) -> Any:
    place = result
    for step in way[:-1]:
        place = place[step] if isinstance(step, int) else getattr(place, step)
    if isinstance(way[-1], int):
        place[way[-1]] = value
    else:
        setattr(place, way[-1], value)
    return result


REALS = [one for one in places(message(network())) if one[-2:-1] != ("rounds",)]


def test_a_sound_result_passes_alone_and_in_a_batch() -> None:
    check_result(network(), REQUEST, TARGET)
    check_result(in_one([network(), network(3.0)]), REQUEST, TARGET)


def test_every_number_of_a_result_is_looked_at() -> None:
    names = {".".join(str(one) for one in way) for way in REALS}
    assert {
        "raw.candidate.wall_ms.30",
        "ratio.value",
        "others.1.estimate.value",
        "operators.0.share",
    } <= names


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("way", REALS, ids=lambda way: ".".join(map(str, way)))
def test_what_is_no_number_is_refused_wherever_it_stands(way: tuple[Any, ...], value: float) -> None:
    assert refused(spoil(message(network()), way, value))


# An output may hold any number, and an interval may reach below zero where a clock is coarse.
FREE = [one for one in REALS if one[0] == "digest"]


@pytest.mark.parametrize("value", [-1e9, 1e300], ids=str)
@pytest.mark.parametrize(
    "way", [one for one in REALS if one not in FREE], ids=lambda way: ".".join(map(str, way))
)
def test_absurd_number_is_refused_wherever_it_stands(way: tuple[Any, ...], value: float) -> None:
    assert refused(spoil(message(network()), way, value))


Change = Callable[[Any], Any]


def _extend(name: str, count: int) -> Change:
    def change(result: Any) -> None:
        runs = result.raw.candidate
        runs.wall_ms.extend([2.0] * count)
        runs.cpu_ms.extend([2.0] * count)
        runs.rounds.extend([9] * count if name == "runs" else range(10, 10 + count))

    return change


def _estimate(name: str, value: float) -> Change:
    wrong = measurement_pb2.Estimate(value=value, high=1.01 * value)
    return lambda result: getattr(result, name).MergeFrom(wrong)


WRONG: dict[str, tuple[Change, str]] = {
    "no run": (lambda one: one.raw.candidate.Clear(), "no run"),
    "a run without its CPU time": (lambda one: one.raw.candidate.cpu_ms.pop(), "60 runs, 59 CPU times"),
    "rounds that go back": (lambda one: spoil(one, ("raw", "candidate", "rounds", 30), 1), "comes after"),
    "a round of billions": (lambda one: spoil(one, ("raw", "candidate", "rounds", 59), 2**31 - 1), "rounds"),
    "too many runs": (_extend("runs", 50_000), "number of runs of the candidate is 50060"),
    "too many rounds": (_extend("rounds", 50_000), "number of rounds is 50010"),
    "loops of nothing": (lambda one: setattr(one.raw.candidate, "inner_count", 0), "inferences in a run"),
    "loops of billions": (lambda one: setattr(one.raw.anchor, "inner_count", 2**31 - 1), "inferences in a run"),
    "a warm-up of billions": (lambda one: setattr(one.raw, "warmup_run_count", 2**31 - 1), "warm-up"),
    "an endless warm-up": (lambda one: one.raw.warmup_duration.FromSeconds(601), "warm-up's duration is 601 s"),
    "an end before its beginning": (lambda one: one.raw.sampling_duration.FromSeconds(-5), "duration is -5 s"),
    "runs longer than the attempt": (
        lambda one: setattr(one.raw.candidate, "inner_count", 6000), "all runs together is 720",
    ),
    "another latency than its runs": (_estimate("estimate", 2.01), "its runs say"),
    "another ratio than its runs": (_estimate("ratio", 2.1), "its runs say"),
    "an interval beside its value": (lambda one: setattr(one.estimate, "low", 2.0001), "in 2.0001 to"),
    "another headline than was asked for": (lambda one: setattr(one, "statistic", 2), "was asked for"),
    "companions of companions": (
        lambda one: one.companions.add().CopyFrom(message(in_one([network(), network()]))), "of its own",
    ),
    "a book for a reason": (lambda one: setattr(one, "reason", "x" * 100_000), "length of the reason"),
    "a thousand facts": (lambda one: one.evidence.update({f"f{i}": "1" for i in range(1000)}), "facts"),
    "a fact of a megabyte": (lambda one: one.evidence.update(governor="x" * (1 << 20)), "fact 'governor'"),
    "a digest of ten thousand numbers": (lambda one: one.digest.extend([1.0] * 10_000), "digest is 10004"),
    "ten thousand operators": (
        lambda one: one.operators.extend([measurement_pb2.OperatorTime(name="a")] * 10_000), "operators is 10001",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused_with_its_value(change: Change, words: str) -> None:
    spoilt = message(network())
    change(spoilt)
    assert words in refused(spoilt)


def test_companion_is_looked_at_as_the_first_is() -> None:
    spoilt = message(in_one([network(), network(3.0)]))
    spoilt.companions[0].estimate.value = math.nan
    assert "headline is nan" in refused(spoilt)


def test_output_that_is_no_number_passes_with_a_verdict_that_says_so() -> None:
    judged = judge(network().raw, Plan(), Evidence(digest=(math.nan,) * 4))
    assert judged.verdict is Verdict.WRONG_OUTPUT
    check_result(judged, REQUEST, TARGET)


def test_played_time_may_pass_faster_than_the_limit() -> None:
    slow = network(30_000.0)
    with pytest.raises(InvalidArgumentError, match="all runs together"):
        check_result(slow, REQUEST, TARGET)
    check_result(slow, REQUEST, replace(TARGET, stand_in="replay"))


@pytest.mark.parametrize(
    "target",
    [None, replace(TARGET, device_model=""), replace(TARGET, thread_count=-1), replace(TARGET, runtime="x" * 9999)],
    ids=["none", "no model", "fewer than no thread", "endless name"],
)  # fmt: skip
def test_target_that_cannot_be_is_refused(target: Target | None) -> None:
    with pytest.raises(InvalidArgumentError):
        check_result(network(), REQUEST, target)


def test_coarse_clock_that_read_zero_in_a_run_is_no_lie() -> None:
    plan = Plan(statistic=Statistic.WALL_MEDIAN, anchor_share=0.0)
    runs = tuple(float(index % 5 > 0) for index in range(RUN_COUNT))
    raw = RawMeasurement(RunSeries(runs, (0.0,) * RUN_COUNT, series(1.0).rounds), tick_ms=1.0)
    check_result(judge(raw, plan, Evidence()), REQUEST, TARGET)
