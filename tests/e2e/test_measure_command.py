"""`fleetnas device measure` on this machine, from a file to a document."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fleetnas_controller.cli import main
from fleetnas_latency.plan import Plan

_QUICK = ["--max-s", "0.5", "--half-width", "50%"]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    weights = numpy_helper.from_array(np.ones((256, 256), np.float32), "w")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 256]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", tensors[:1], tensors[1:], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "net.onnx"


def _document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_file_gets_a_latency_with_everything_beside_it(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["device", "measure", str(network), "--json", *_QUICK])
    found = _document(capsys)
    # A machine that is busy while the tests run may disturb it; the code tells so.
    assert (code == 0) == (found["verdict"] == "ok")
    latency = found["latency_ms"]
    assert 0.0 < latency["low"] <= latency["value"] <= latency["high"]
    assert found["target"]["runtime"] == "onnxruntime"
    assert found["statistic"] == found["target"]["statistic"] == "cpu_p10"
    assert found["model_bytes"] == network.stat().st_size
    assert found["first_load_ms"] > 0.0
    assert found["load_ms"] > 0.0
    assert found["ratio_to_anchor"] is not None
    assert {"governor", "frequency_khz", "temperature_millicelsius", "load"} <= set(found["evidence"])


def test_table_shows_interval_verdict_and_evidence(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["device", "measure", str(network), "--no-anchor", "--statistic", "wall_median", *_QUICK])
    shown = capsys.readouterr().out
    for word in (
        "latency",
        "95%",
        "verdict",
        "p90",
        "warm load",
        "peak memory",
        "governor",
        "relative to the",
    ):
        assert word in shown


def test_files_are_measured_in_turns_and_compared_with_the_first(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of the same name in another folder: neither hides the other.
    other = tmp_path / "other"
    other.mkdir()
    (other / "net.onnx").write_bytes(network.read_bytes())
    files = [str(network), str(other / "net.onnx")]
    code = main(["device", "measure", *files, "--no-anchor", "--json", *_QUICK])
    found = _document(capsys)
    assert [one["file"] for one in found["networks"]] == files
    assert (code == 0) == all(one["verdict"] == "ok" for one in found["networks"])
    assert found["networks"][0]["round_count"] == found["networks"][1]["round_count"]
    (difference,) = found["differences"]
    assert (difference["file"], difference["against"]) == (files[1], files[0])
    assert difference["low"] <= difference["value"] <= difference["high"]


def test_file_that_the_runtime_refuses_fails_alone(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, other = tmp_path / "bad.onnx", tmp_path / "other.onnx"
    content = network.read_bytes()
    bad.write_bytes(content.replace(b"MatMul", b"Unhear"))
    other.write_bytes(content)
    files = [str(one) for one in (bad, network, other)]
    assert main(["device", "measure", *files, "--no-anchor", "--json", *_QUICK]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [one["file"] for one in found["networks"]] == files[1:]
    assert [one["file"] for one in found["failed"]] == files[:1]
    assert found["differences"][0]["against"] == files[1]
    assert f"'{bad}' was not measured: network 1 of 3" in said.err


def test_network_of_another_kind_than_the_device_loads_is_refused(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("net.param", "net.bin"):
        network.with_name(name).write_bytes(b"")
    assert main(["device", "measure", str(network.with_name("net.param"))]) == 1
    assert "'host' (host) loads; it takes ONNX files" in capsys.readouterr().err


def test_profile_shows_each_operator_with_its_share(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["device", "measure", str(network), "--profile", "--no-anchor", *_QUICK])
    shown = capsys.readouterr().out
    assert "MatMul" in shown
    assert "100.0%" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runtime", "tensorrt"], "no runtime 'tensorrt'"),
        (["--device", "pixel3"], "no device 'pixel3'"),
        (["--threads", "512"], "--threads 512"),
        (["--threads", "2", "--statistic", "cpu_p10"], "2 threads"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    network: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["device", "measure", str(network), *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--max-s=0", "argument --max-s: '0' is no time in seconds"),
        ("--max-s=nan", "'nan' is no time"),
        ("--threads=0", "argument --threads: '0' is no number of threads"),
        ("--core=-2", "argument --core: '-2' is no core here"),
    ],
)
def test_value_that_means_nothing_is_told_by_the_option_it_came_with(
    network: Path, capsys: pytest.CaptureFixture[str], argument: str, words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["device", "measure", str(network), argument])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_self_test_is_kept_and_chooses_what_measure_takes(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = Plan(
        warmup_min_s=0.05, warmup_cap_s=0.1, min_duration_s=0.1, max_duration_s=0.2, round_duration_s=0.02
    )
    monkeypatch.setattr("fleetnas_controller.self_testing._plan", lambda statistic, threads: brief)
    place = ["--runs-dir", str(tmp_path / "runs")]
    assert main(["device", "selftest", "--networks", "5", "--sessions", "2", "--json", *place]) == 0
    tested = _document(capsys)
    assert tested["resolution"] > 0.0
    assert {one["statistic"] for one in tested["agreements"]} == {"wall_median", "cpu_median", "cpu_p10"}
    main(["device", "measure", str(network), "--json", *place, *_QUICK])
    assert _document(capsys)["statistic"] == tested["chosen"]


def test_self_test_of_too_few_networks_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "selftest", "--networks", "4"]) == 1
    assert "5 are needed" in capsys.readouterr().err
