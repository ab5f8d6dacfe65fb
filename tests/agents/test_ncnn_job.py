"""What the native runner is told and what is believed of its answers."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fleetnas_agents.jobs import FaultKind, Job, Lease, MeasureError, ModelFile
from fleetnas_agents.ncnn_job import (
    RunnerFiles,
    fault_of,
    job_text,
    measurement_of,
    network_files,
    precision_of,
    sample_input,
)
from fleetnas_latency.measurement import Plan, StopReason, Verdict
from fleetnas_latency.statistics import Statistic

PARAM = "7767517\n1 1\nInput input 0 1 input 0=4 1=3 2=2\n"


def answer(**changes: Any) -> str:
    runs = [1_000_000 + step for step in range(40)]
    series = {"inner_count": 1, "wall_ns": runs, "cpu_ns": runs, "rounds": [step // 4 for step in range(40)]}
    content = {
        "stop_reason": "converged", "warmup_run_count": 3, "warmup_duration_s": 0.5, "warmup_steady": True,
        "sampling_duration_s": 1.0, "tick_ns": 1, "digest": ["1", "2", "2", "2", *["2"] * 6],
        "before": {"governor": "schedutil", "cores": "4"}, "after": {"governor": "performance", "cores": "4"},
        "candidate": series, "anchor": {"inner_count": 1, "wall_ns": [], "cpu_ns": [], "rounds": []},
    }  # fmt: skip
    return json.dumps(content | changes)


def job(*names: str) -> Job:
    files = tuple(ModelFile(name, "0" * 64, 1) for name in names)
    return Job(Lease("measurements/m", 1), files, names[0], "", Plan(), 1.0, 1.0)


def test_answer_becomes_a_judged_measurement() -> None:
    result = measurement_of(answer(), Plan(), {"battery_percent": "81"})
    assert result.verdict is Verdict.OK
    assert result.estimate.value == pytest.approx(1.0, rel=1e-3)
    assert {("governor", "performance"), ("governor_before", "schedutil"), ("battery_percent", "81")} <= set(
        result.evidence
    )
    assert "cores_before" not in dict(result.evidence)


def test_loop_of_inferences_counts_as_the_mean_one() -> None:
    content = json.loads(answer())
    content["candidate"]["inner_count"] = 10
    assert measurement_of(json.dumps(content), Plan(), {}).estimate.value == pytest.approx(0.1, rel=1e-3)


def test_runner_that_calls_wide_runs_converged_is_not_believed() -> None:
    content = json.loads(answer())
    content["candidate"]["wall_ns"] = [1_000_000 * (1 + step % 7) for step in range(40)]
    result = measurement_of(json.dumps(content), Plan(statistic=Statistic.WALL_MEDIAN), {})
    assert result.raw.stop_reason is StopReason.DURATION_CAP
    assert result.verdict is not Verdict.OK


def test_output_that_is_not_finite_is_a_wrong_output() -> None:
    content = answer(digest=["1", "nan", "nan", "nan", *["nan"] * 6])
    assert measurement_of(content, Plan(), {}).verdict is Verdict.WRONG_OUTPUT


@pytest.mark.parametrize(
    "broken",
    [
        "", "{}", "null", "[1]", '{"candidate": 3}', answer(stop_reason="tired"), answer(digest=None),
        answer(candidate={"inner_count": 0, "wall_ns": [1], "cpu_ns": [1], "rounds": [0]}),
        answer(candidate={"inner_count": 1, "wall_ns": [1, 2], "cpu_ns": [1], "rounds": [0]}),
        answer(candidate={"inner_count": 1, "wall_ns": [], "cpu_ns": [], "rounds": []}),
        answer(tick_ns=float("inf")), answer(tick_ns=-1), answer(warmup_duration_s=float("nan")),
        answer(sampling_duration_s=-1.0),
    ],
)  # fmt: skip
def test_answer_that_is_no_result_is_a_crash(broken: str) -> None:
    with pytest.raises(MeasureError) as caught:
        measurement_of(broken, Plan(), {})
    assert caught.value.kind is FaultKind.CRASH


def test_runner_is_told_the_plans_numbers() -> None:
    files = RunnerFiles(("/c/a", "/c/b"), ("/c/d", "/c/e"), "/c/i", {"w.f32": "/c/w"})
    plan = replace(Plan(), statistic=Statistic.CPU_P10, max_duration_s=7.5)
    lines = job_text(files, plan, (4, 5), 12.3).splitlines()
    assert lines[0] == "fleetnas-job 2"
    assert {
        "candidate /c/a /c/b", "anchor /c/d /c/e", "input /c/i", "file w.f32 /c/w", "cores 4,5", "limit_s 13",
        "series cpu", "quantile 0.1", "max_duration_s 7.5", "thread_count 1",
    } <= set(lines)  # fmt: skip


@pytest.mark.parametrize("weights", ["net.weights", "net.bin"])
def test_network_brings_its_weights_in_either_form(weights: str) -> None:
    assert network_files(job("net.param", weights), "net.param") == ("net.param", weights)


@pytest.mark.parametrize("names", [("net.onnx",), ("net.param",), ("net.param", "other.bin")])
def test_job_without_an_ncnn_network_is_the_models_fault(names: tuple[str, ...]) -> None:
    with pytest.raises(MeasureError) as caught:
        network_files(job(*names), names[0])
    assert caught.value.kind is FaultKind.MODEL


def test_input_is_the_one_that_the_hosts_runtimes_get() -> None:
    expected = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype("<f4")
    assert sample_input(PARAM) == expected.tobytes()


@pytest.mark.parametrize("param", ["", "garbage", PARAM.replace("2=2", ""), PARAM.replace("0=4", "0=x")])
def test_network_without_the_size_of_its_input_is_the_models_fault(param: str) -> None:
    with pytest.raises(MeasureError) as caught:
        sample_input(param)
    assert caught.value.kind is FaultKind.MODEL


def test_fault_of_an_unknown_kind_is_a_crash() -> None:
    assert (fault_of("weather rain").kind, str(fault_of("weather rain"))) == (FaultKind.CRASH, "rain")


@pytest.mark.parametrize(
    ("layer", "precision"),
    [
        ("Convolution c 1 1 a b 0=8 8=1", "int8"),
        ("ConvolutionDepthWise c 1 1 a b 0=8 7=8 8=101 9=1", "int8"),
        ("Convolution c 1 1 a b 0=8 8=0", "fp32"),
        ("Convolution c 1 1 a b 0=8 18=1", "fp32"),
        ("Pooling c 1 1 a b 8=1", "fp32"),
        ("", "fp32"),
    ],
)
def test_precision_is_read_from_the_layers_with_weights(layer: str, precision: str) -> None:
    assert precision_of(f"7767517\n1 1\n{layer}\n") == precision
