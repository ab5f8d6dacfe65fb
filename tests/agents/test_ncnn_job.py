"""What the native runner is told."""

from dataclasses import replace

import numpy as np
import pytest

from fleetnas_agents.jobs import FaultKind, Job, Lease, MeasureError, ModelFile
from fleetnas_agents.ncnn_job import (
    RunnerFiles,
    job_text,
    network_files,
    precision_of,
    sample_input,
    weight_parts,
)
from fleetnas_latency.measurement import Plan
from fleetnas_latency.statistics import Statistic

PARAM = "7767517\n1 1\nInput input 0 1 input 0=4 1=3 2=2\n"


def job(*names: str) -> Job:
    files = tuple(ModelFile(name, "0" * 64, 1) for name in names)
    return Job(Lease("measurements/m", 1), files, names[0], "", Plan(), 1.0, 1.0)


def test_runner_is_told_the_plans_numbers() -> None:
    files = RunnerFiles((("/c/a", "/c/b"), ("/c/x", "/c/y")), ("/c/d", "/c/e"), "/c/i", {"w.f32": "/c/w"})
    plan = replace(Plan(), statistic=Statistic.CPU_P10, max_duration_s=7.5)
    lines = job_text(files, plan, (4, 5), 12.3, seed="measurements/m").splitlines()
    assert lines[:3] == ["fleetnas-job 3", "candidate /c/a /c/b", "candidate /c/x /c/y"]
    assert {
        "anchor /c/d /c/e", "input /c/i", "file w.f32 /c/w", "cores 4,5", "limit_s 13", "seed measurements/m",
        "drift_limit 0.03", "series cpu", "quantile 0.1", "max_duration_s 7.5", "thread_count 1",
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
    assert sample_input([PARAM]) == expected.tobytes()


def test_input_of_a_batch_begins_with_that_of_its_smaller_networks() -> None:
    larger = PARAM.replace("0=4", "0=9")
    assert sample_input([PARAM, larger]) == sample_input([larger])
    assert sample_input([larger])[: 4 * 24] == sample_input([PARAM])


def test_weights_are_found_by_name_in_whatever_folder_they_lie() -> None:
    files = (ModelFile("one/w.f32", "1" * 64, 4), ModelFile("two/w.f32", "1" * 64, 4))
    assert weight_parts(replace(job("net.param"), files=files))["w.f32"] in ("one/w.f32", "two/w.f32")
    with pytest.raises(MeasureError, match=r"two different files 'w\.f32'"):
        weight_parts(replace(job("net.param"), files=(files[0], replace(files[1], sha256="2" * 64))))


@pytest.mark.parametrize("param", ["", "garbage", PARAM.replace("2=2", ""), PARAM.replace("0=4", "0=x")])
def test_network_without_the_size_of_its_input_is_the_models_fault(param: str) -> None:
    with pytest.raises(MeasureError) as caught:
        sample_input([PARAM, param])
    assert caught.value.kind is FaultKind.MODEL


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
