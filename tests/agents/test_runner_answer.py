"""What is believed of the native runner's answers."""

import json
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runner_answer import fault_of, measurement_of
from fleetnas_latency.measurement import Plan, StopReason, Verdict
from fleetnas_latency.statistics import Statistic

RUNS = [1_000_000 + step for step in range(40)]
SERIES = {"inner_count": 1, "wall_ns": RUNS, "cpu_ns": RUNS, "rounds": [step // 4 for step in range(40)]}
NONE = {"inner_count": 1, "wall_ns": [], "cpu_ns": [], "rounds": []}


def network(**changes: Any) -> dict[str, Any]:
    content = {
        "stop_reason": "converged", "warmup_run_count": 3, "warmup_duration_s": 0.5, "warmup_steady": True,
        "digest": ["1", "2", "2", "2", *["2"] * 6], "series": SERIES,
    }  # fmt: skip
    return content | changes


def look(times: float) -> dict[str, Any]:
    runs = [round(times * one) for one in RUNS]
    return {"tick_ns": 1, "series": SERIES | {"wall_ns": runs, "cpu_ns": runs}}


def answer(*networks: dict[str, Any], **changes: Any) -> str:
    content = {
        "sampling_duration_s": 1.0, "tick_ns": 1, "repeat_count": 0, "looks": [],
        "before": {"governor": "schedutil", "cores": "4"}, "after": {"governor": "performance", "cores": "4"},
        "networks": networks or [network()], "anchor": NONE,
    }  # fmt: skip
    return json.dumps(content | changes)


def of_one(**changes: Any) -> str:
    return answer(network(**changes))


def test_answer_becomes_a_judged_measurement() -> None:
    result = measurement_of(answer(), Plan(), {"battery_percent": "81"})
    assert result.verdict is Verdict.OK
    assert result.estimate.value == pytest.approx(1.0, rel=1e-3)
    assert {("governor", "performance"), ("governor_before", "schedutil"), ("battery_percent", "81")} <= set(
        result.evidence
    )
    assert "cores_before" not in dict(result.evidence)


def test_loop_of_inferences_counts_as_the_mean_one() -> None:
    content = of_one(series=SERIES | {"inner_count": 10})
    assert measurement_of(content, Plan(), {}).estimate.value == pytest.approx(0.1, rel=1e-3)


def test_runner_that_calls_wide_runs_converged_is_not_believed() -> None:
    content = of_one(series=SERIES | {"wall_ns": [1_000_000 * (1 + step % 7) for step in range(40)]})
    result = measurement_of(content, Plan(statistic=Statistic.WALL_MEDIAN), {})
    assert result.raw.stop_reason is StopReason.DURATION_CAP
    assert result.verdict is not Verdict.OK


def test_output_that_is_not_finite_is_a_wrong_output() -> None:
    content = of_one(digest=["1", "nan", "nan", "nan", *["nan"] * 6])
    assert measurement_of(content, Plan(), {}).verdict is Verdict.WRONG_OUTPUT


@pytest.mark.parametrize(
    "broken",
    [
        "", "{}", "null", "[1]", '{"networks": 3}', answer(networks=[]), answer(networks=[3]),
        of_one(stop_reason="tired"), of_one(digest=None), of_one(series=NONE), of_one(series=3),
        of_one(series={"inner_count": 0, "wall_ns": [1], "cpu_ns": [1], "rounds": [0]}),
        of_one(series={"inner_count": 1, "wall_ns": [1, 2], "cpu_ns": [1], "rounds": [0]}),
        of_one(warmup_duration_s=float("nan")), answer(tick_ns=float("inf")), answer(tick_ns=-1),
        answer(sampling_duration_s=-1.0), answer(network(), network()), answer(looks=[look(1.0)]),
        answer(looks=[{"tick_ns": 1, "series": NONE}] * 2),
    ],
)  # fmt: skip
def test_answer_that_is_no_result_is_a_crash(broken: str) -> None:
    with pytest.raises(MeasureError) as caught:
        measurement_of(broken, Plan(), {})
    assert caught.value.kind is FaultKind.CRASH


def test_runner_that_calls_a_few_rounds_converged_is_not_believed() -> None:
    result = measurement_of(of_one(series=SERIES | {"rounds": [step // 8 for step in range(40)]}), Plan(), {})
    assert result.verdict is Verdict.NOT_CONVERGED
    assert "40 runs in 5 rounds" in result.reason


def test_networks_of_a_batch_have_a_verdict_each() -> None:
    wrong = network(digest=["nan"] * 10)
    result = measurement_of(
        answer(network(), wrong), Plan(), {}, [{"precision": "fp32"}, {"precision": "int8"}]
    )
    assert [one.verdict for one in result.batch] == [Verdict.OK, Verdict.WRONG_OUTPUT]
    assert [dict(one.evidence)["precision"] for one in result.batch] == ["fp32", "int8"]


def test_batch_whose_anchor_drifted_is_throttled() -> None:
    steady, drifted = (
        measurement_of(answer(looks=[look(1.0), look(after)], repeat_count=3), Plan(), {})
        for after in (1.01, 1.06)
    )
    assert steady.verdict is Verdict.OK
    assert (drifted.verdict, dict(drifted.evidence)["drift_repeats"]) == (Verdict.THROTTLED, "3")


def test_fault_of_an_unknown_kind_is_a_crash() -> None:
    assert (fault_of("weather rain").kind, str(fault_of("weather rain"))) == (FaultKind.CRASH, "rain")
