"""Played devices over the real protocol: many in one process, and each fault with what must come of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.jobs import (
    FaultKind,
    Limits,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_latency.plan import Plan

Online = Callable[..., Any]
DONE, FAILED = MeasurementState.DONE, MeasurementState.FAILED


def request(client: Any, measurement_id: str = "m", **fields: Any) -> MeasurementRequest:
    network = client.put_artifact(b"architecture\x12\x0atiny/8/1,2")
    files = (ModelFile("net.onnx", network.sha256, network.size_bytes),)
    return MeasurementRequest(measurement_id, files, "net.onnx", **fields)


def start(served: Any, processes: Any, tmp_path: Path, *options: str, count: int = 1) -> Any:
    (tmp_path / "wide.csv").write_text("arch,pixel,board\n12,3.5,7.0\n")
    token = served.client.create_join_token(use_count=count).secret
    command = [
        "fleetnas_agents.cli", "--controller", served.address, "--state-dir", str(tmp_path / "played"),
        "--driver", "replay", "--table", str(tmp_path / "wide.csv"), "--devices", str(count),
        "--reconnect-cap-s", "0.5", *options,
    ]  # fmt: skip
    return processes.start(command, FLEETNAS_TOKEN=token)


def test_one_process_plays_a_fleet_of_named_devices(
    served: Any, processes: Any, tmp_path: Path, online: Online, until: Any
) -> None:
    start(served, processes, tmp_path, "--trace", str(tmp_path / "trace"), count=4)
    online(served.client, 4)
    assert sorted(one.model for one in served.client.list_devices()) == ["board", "board", "pixel", "pixel"]
    for index, model in enumerate(("pixel", "board")):
        made = served.client.create_measurement(
            request(served.client, f"m{index}", selector=Selector(model=model))
        )
        (record,) = served.client.wait_any([made.name], 20.0)
        assert record.result.estimate.value == pytest.approx(3.5 * (index + 1), rel=0.05)
        assert record.target.stand_in == "replay"
    until(lambda: (tmp_path / "trace").read_text().count('"accepted"') == 2)
    events = [json.loads(line)["event"] for line in (tmp_path / "trace").read_text().splitlines()]
    assert events == ["started"] * 4 + ["assigned", "begin", "end", "sent", "accepted"] * 2


@pytest.mark.parametrize(
    ("fault", "state", "says"),
    [
        ("drift=1:0.5", DONE, "ok"),
        ("throttle=1", DONE, "throttled"),
        ("wrong-result=1", DONE, "wrong_output"),
        ("disconnect=1", DONE, "ok"),
        ("duplicate=1", DONE, "ok"),
        ("stale=1", DONE, "ok"),
        ("slow-link=1:0.05", DONE, "ok"),
        ("silence=1:2", DONE, "ok"),
        (
            "crash=1",
            FAILED,
            "crashed or hung 2 times on this file; last: the runtime's process ended with signal 11",
        ),
        (
            "hang=1",
            FAILED,
            "crashed or hung 2 times on this file; last: the runtime gave no sign of life for 0.3 s",
        ),
    ],
)
def test_each_fault_ends_as_it_must(
    served: Any, processes: Any, tmp_path: Path, fault: str, state: MeasurementState, says: str
) -> None:
    trace = tmp_path / "trace"
    start(served, processes, tmp_path, "--fault", fault, "--trace", str(trace))
    limits = Limits(silence_s=0.3, total_s=10.0)
    made = served.client.create_measurement(request(served.client, limits=limits))
    (record,) = served.client.wait_any([made.name], 60.0)
    assert record.state is state, record.fault
    if state is FAILED:
        assert record.fault.kind is FaultKind.MODEL
        assert says in record.fault.message
    else:
        assert record.result.verdict == says
        accepted = [
            one for one in map(json.loads, trace.read_text().splitlines()) if one["event"] == "accepted"
        ]
        assert len(accepted) <= 1


@pytest.mark.parametrize(
    ("fault", "verdict", "repeats"), [("drift=0", "ok", "0"), ("drift=1:0.2", "throttled", "3")]
)
def test_batch_is_measured_again_while_its_anchor_drifts(
    served: Any, processes: Any, tmp_path: Path, fault: str, verdict: str, repeats: str
) -> None:
    start(served, processes, tmp_path, "--fault", fault)
    single = request(served.client)
    files = tuple(replace(single.files[0], path=name) for name in ("a.onnx", "b.onnx", "anchor.onnx"))
    wanted = MeasurementRequest(
        "m",
        files,
        "a.onnx",
        "anchor.onnx",
        plan=Plan(min_duration_s=0.2, max_duration_s=1.0, max_run_count=2000),
        selector=Selector(batches=True),
        companion_files=("b.onnx",),
    )
    made = served.client.create_measurement(wanted)
    (record,) = served.client.wait_any([made.name], 60.0)
    assert [one.verdict for one in record.result.batch] == [verdict, verdict], record.result.reason
    assert dict(record.result.evidence)["drift_repeats"] == repeats


def test_file_that_arrives_cut_short_is_fetched_again(served: Any, processes: Any, tmp_path: Path) -> None:
    start(served, processes, tmp_path, "--fault", "truncate=0.7", "--seed", "1")
    made = served.client.create_measurement(request(served.client))
    (record,) = served.client.wait_any([made.name], 60.0)
    assert (record.state, record.attempt_count) == (DONE, 4)
    assert record.fault.kind is FaultKind.INFRASTRUCTURE
    assert "did not arrive as announced" in record.fault.message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fault", "fire=1"), "Names: drift"),
        (("--columns", "pixel9"), "no device 'pixel9'"),
        (("--noise", "-1"), "--noise"),
        (("--devices", "0"), "--devices"),
    ],
)
def test_wrong_option_is_one_line(
    served: Any, processes: Any, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    agent = start(served, processes, tmp_path, *options)
    _, said = agent.communicate(timeout=30)
    assert agent.returncode == 1
    assert says in said.splitlines()[-1]
