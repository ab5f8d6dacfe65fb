"""Peers that freeze, stall, flood, lie or say nothing: the typed error that each of them gets."""

import hashlib
import math
import signal
import socket
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import grpc
import pytest

from fleetnas_controller.jobs import DeviceState, FaultKind, MeasurementState
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, StopReason, judge
from fleetnas_protos.mirror import to_message
from fleetnas_protos.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    fleet_pb2,
    fleet_pb2_grpc,
    measurement_pb2,
    measurement_pb2_grpc,
    target_pb2,
)

Measure = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]
Code = grpc.StatusCode
TARGET = target_pb2.Target(
    device_model="board", runtime="onnxruntime", runtime_version="1", thread_count=1,
    precision=target_pb2.Target.Precision.FP32, statistic="wall_median",
)  # fmt: skip
HELLO = fleet_pb2.AgentMessage(hello=fleet_pb2.Hello(description=fleet_pb2.DeviceDescription(model="board")))


def proxy_to(address: str) -> Any:
    spec = spec_from_file_location("proxy", Path(__file__).with_name("proxy.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Proxy(address)


@pytest.fixture
def channel(served: Any) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as made:
        yield made


def enrol(channel: grpc.Channel, client: Any, device: str = "a") -> Any:
    """Metadata with the credential of a new device."""
    token = client.create_join_token(device_id=device).secret
    request = fleet_pb2.EnrollRequest(join_token=token, device_id=device)
    credential = fleet_pb2_grpc.FleetServiceStub(channel).Enroll(request, timeout=10).credential
    return (("authorization", f"Bearer {credential}"),)


def connect(channel: grpc.Channel, credential: Any, messages: Iterator[Any]) -> Any:
    return fleet_pb2_grpc.FleetServiceStub(channel).Connect(messages, metadata=credential, timeout=30)


def good_result() -> Any:
    runs = (1.0, 1.001, 0.999) * 20
    series = RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(index // 6 for index in range(60)))
    raw = RawMeasurement(candidate=series, stop_reason=StopReason.CONVERGED)
    return to_message(judge(raw, Plan(), Evidence()), measurement_pb2.MeasurementResult)


def test_frozen_agent_is_told_why_its_work_went_elsewhere(
    served: Any, processes: Any, measure: Measure, until: Until
) -> None:
    token = served.client.create_join_token(device_id="a").secret
    agent = processes.agent(served.address, token, pause_s=0.8)
    name = measure(served.client).name
    until(lambda: processes.traced("begin") == 1)
    agent.send_signal(signal.SIGSTOP)
    queued = until(lambda: (one := served.client.get_measurement(name)).fault and one)
    assert queued.fault.kind is FaultKind.INFRASTRUCTURE
    assert "was not heard for 1 s and lost the lease" in queued.fault.message
    until(lambda: served.client.get_device("a").reason.startswith("devices/a was"))  # the session is over
    agent.send_signal(signal.SIGCONT)
    (record,) = served.client.wait_any([name], 20.0)
    assert record.state is MeasurementState.DONE
    agent.terminate()
    said = agent.communicate(timeout=20)[1]
    assert "DEADLINE_EXCEEDED: devices/a was connected but silent for 1 s" in said


def test_half_open_connection_is_noticed_on_both_sides(
    served: Any, processes: Any, measure: Measure, until: Until, online: Callable[..., Any]
) -> None:
    proxy = proxy_to(served.address)
    try:
        token = served.client.create_join_token(device_id="a").secret
        agent = processes.agent(proxy.address, token, pause_s=3.0)
        name = measure(served.client).name
        until(lambda: processes.traced("begin") == 1)
        proxy.frozen = True
        queued = until(lambda: (one := served.client.get_measurement(name)).fault and one)
        assert (queued.state, queued.fault.kind) == (MeasurementState.QUEUED, FaultKind.INFRASTRUCTURE)
        assert served.client.get_device("a").state is DeviceState.OFFLINE
        until(lambda: processes.traced("end") == 1)  # the agent's own side of the lease
        proxy.frozen = False
        online(served.client)
        (record,) = served.client.wait_any([name], 20.0)
        assert record.state is MeasurementState.DONE
        agent.terminate()
        assert "the lease ran out, the controller is silent" in agent.communicate(timeout=20)[1]
    finally:
        proxy.stop()


def test_peer_that_never_says_hello_is_told(impatient: Any) -> None:
    with grpc.insecure_channel(impatient.address) as channel:
        credential = enrol(channel, impatient.client)
        with pytest.raises(grpc.RpcError) as caught:
            next(connect(channel, credential, waiting()))
    assert caught.value.code() is Code.DEADLINE_EXCEEDED
    assert caught.value.details() == "no hello within 0.5 s. Send it first."


def test_peer_that_says_nothing_at_all_is_hung_up_on(impatient: Any) -> None:
    host, _, port = impatient.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20.0) as silent:
        while silent.recv(4096):
            pass  # what the server says first
    assert impatient.client.list_devices() == ()


def test_slow_reader_is_cut_off_and_told_when_it_reads(served: Any, until: Until) -> None:
    beat = fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat())
    small_window = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384))
    with grpc.insecure_channel(served.address, options=small_window) as channel:
        credential = enrol(channel, served.client)
        call = connect(channel, credential, (HELLO if index == 0 else beat for index in range(1_000_000)))
        until(lambda: "left 1000 messages unread" in served.client.get_device("a").reason)
        with pytest.raises(grpc.RpcError) as caught:
            for _ in call:
                pass
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED


def test_lease_with_an_endless_name_ends_the_session(served: Any, channel: grpc.Channel) -> None:
    lease = fleet_pb2.Lease(measurement="x" * 100_000, fencing_token=1)

    def messages() -> Iterator[Any]:
        yield HELLO
        yield fleet_pb2.AgentMessage(report=fleet_pb2.Report(lease=lease, result=good_result()))
        yield from waiting()

    with pytest.raises(grpc.RpcError) as caught:
        for _ in connect(channel, enrol(channel, served.client), messages()):
            pass
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert "no name in measurements" in caught.value.details()


def test_session_that_ends_while_a_message_goes_out_is_told_why(served: Any, channel: grpc.Channel) -> None:
    credential = enrol(channel, served.client)
    spoilt = fleet_pb2.AgentMessage(report=fleet_pb2.Report(lease=fleet_pb2.Lease(measurement="x" * 100_000)))
    for _ in range(200):  # the welcome is under way in some of them when the second message is refused
        with pytest.raises(grpc.RpcError) as caught:
            list(connect(channel, credential, iter((HELLO, spoilt))))
        assert caught.value.code() is Code.INVALID_ARGUMENT


def test_flood_of_bad_tokens_has_to_wait(served: Any, channel: grpc.Channel) -> None:
    stub = fleet_pb2_grpc.FleetServiceStub(channel)
    codes = []
    for guess in range(12):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Enroll(fleet_pb2.EnrollRequest(join_token=f"guess-{guess}"), timeout=10)
        codes.append(caught.value.code())
    assert codes == [Code.PERMISSION_DENIED] * 10 + [Code.RESOURCE_EXHAUSTED] * 2
    assert "was refused 10 times within 60 s. Try again in" in caught.value.details()


def test_artifact_of_five_gigabytes_is_refused_before_it_is_sent(served: Any, channel: grpc.Channel) -> None:
    def parts() -> Iterator[artifact_pb2.UploadArtifactRequest]:
        yield artifact_pb2.UploadArtifactRequest(
            artifact=artifact_pb2.Artifact(sha256="0" * 64, size_bytes=5 << 30)
        )
        yield from waiting()

    with pytest.raises(grpc.RpcError) as caught:
        artifact_pb2_grpc.ArtifactServiceStub(channel).UploadArtifact(
            parts(), metadata=served.client._connection.metadata, timeout=20
        )
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert "5368709120 bytes" in caught.value.details()


def test_artifact_that_grows_beyond_its_announcement_is_refused(served: Any, channel: grpc.Channel) -> None:
    def parts() -> Iterator[artifact_pb2.UploadArtifactRequest]:
        yield artifact_pb2.UploadArtifactRequest(
            artifact=artifact_pb2.Artifact(sha256="0" * 64, size_bytes=10)
        )
        while True:
            yield artifact_pb2.UploadArtifactRequest(chunk=b"x" * 100)

    with pytest.raises(grpc.RpcError) as caught:
        artifact_pb2_grpc.ArtifactServiceStub(channel).UploadArtifact(
            parts(), metadata=served.client._connection.metadata, timeout=20
        )
    assert caught.value.code() is Code.DATA_LOSS
    assert list((served.data_dir / "artifacts").iterdir()) == []


def test_truncated_artifact_is_not_kept(served: Any, channel: grpc.Channel) -> None:
    content = b"a network"
    sha256 = hashlib.sha256(content).hexdigest()

    def parts() -> Iterator[artifact_pb2.UploadArtifactRequest]:
        yield artifact_pb2.UploadArtifactRequest(artifact=artifact_pb2.Artifact(sha256=sha256, size_bytes=9))
        yield artifact_pb2.UploadArtifactRequest(chunk=content[:5])

    with pytest.raises(grpc.RpcError) as caught:
        artifact_pb2_grpc.ArtifactServiceStub(channel).UploadArtifact(
            parts(), metadata=served.client._connection.metadata, timeout=20
        )
    assert caught.value.code() is Code.DATA_LOSS
    assert "only 5 of 9 bytes" in caught.value.details()


def test_oversized_chunk_is_refused(served: Any, channel: grpc.Channel) -> None:
    def parts() -> Iterator[artifact_pb2.UploadArtifactRequest]:
        artifact = artifact_pb2.Artifact(sha256="0" * 64, size_bytes=8 << 20)
        yield artifact_pb2.UploadArtifactRequest(artifact=artifact)
        yield artifact_pb2.UploadArtifactRequest(chunk=bytes((1 << 20) + 1))

    with pytest.raises(grpc.RpcError) as caught:
        artifact_pb2_grpc.ArtifactServiceStub(channel).UploadArtifact(
            parts(), metadata=served.client._connection.metadata, timeout=20
        )
    assert caught.value.code() is Code.INVALID_ARGUMENT


def test_replayed_result_is_refused_with_its_reason(
    served: Any, channel: grpc.Channel, measure: Measure
) -> None:
    """The same result again, the result under a token of tomorrow, and for a measurement that never was."""
    name = measure(served.client).name
    lease = fleet_pb2.Lease(measurement=name, fencing_token=1)
    forged = fleet_pb2.Lease(measurement=name, fencing_token=2)
    absent = fleet_pb2.Lease(measurement="measurements/none", fencing_token=1)
    credential = enrol(channel, served.client)

    def messages() -> Iterator[Any]:
        yield HELLO
        for one in (forged, absent, lease, lease):
            report = fleet_pb2.Report(lease=one, target=TARGET, result=good_result())
            yield fleet_pb2.AgentMessage(report=report)
        yield from waiting()

    answers = []
    for message in connect(channel, credential, messages()):
        if message.WhichOneof("kind") == "acknowledgement":
            answers.append((message.acknowledgement.accepted, message.acknowledgement.reason))
        if len(answers) == 4:
            break
    assert answers == [
        (False, "token 2 was never given to devices/a for this measurement"),
        (False, "no such measurement"),
        (True, ""),
        (False, "the measurement is done already"),
    ]
    assert served.client.get_measurement(name).attempt_count == 1


def test_result_that_nothing_can_have_measured_sends_the_job_round_again(
    served: Any, channel: grpc.Channel, measure: Measure, until: Until
) -> None:
    name = measure(served.client).name
    credential = enrol(channel, served.client)
    spoilt, unreadable = good_result(), good_result()
    spoilt.raw.candidate.wall_ms[7] = math.nan
    unreadable.raw.stop_reason = 0
    faults = []

    def messages() -> Iterator[Any]:
        yield HELLO
        for number, result in enumerate((spoilt, unreadable, good_result()), start=1):
            until(lambda wanted=number: served.client.get_measurement(name).attempt_count == wanted)
            faults.append(served.client.get_measurement(name).fault)
            lease = fleet_pb2.Lease(measurement=name, fencing_token=number)
            yield fleet_pb2.AgentMessage(report=fleet_pb2.Report(lease=lease, target=TARGET, result=result))
        yield from waiting()

    answers = 0
    for message in connect(channel, credential, messages()):
        answers += message.WhichOneof("kind") == "acknowledgement"
        if answers == 3:
            break
    assert [one and one.kind for one in faults] == [None, FaultKind.UNSOUND, FaultKind.UNSOUND]
    assert faults[1].message == "the result cannot have been measured: a run of the candidate is nan ms"
    assert faults[2].message.startswith(
        "the result cannot be read: unusable MeasurementResult: `stop_reason`"
    )
    assert served.client.get_measurement(name).state is MeasurementState.DONE


def test_connection_with_too_many_streams_is_told(
    served: Any, channel: grpc.Channel, measure: Measure
) -> None:
    stub = measurement_pb2_grpc.MeasurementServiceStub(channel)
    request = measurement_pb2.WatchMeasurementsRequest(names=[measure(served.client).name])
    calls = [
        stub.WatchMeasurements(request, metadata=served.client._connection.metadata, timeout=30)
        for _ in range(64)
    ]
    for call in calls:
        next(call)
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.WatchMeasurements(request, metadata=served.client._connection.metadata, timeout=30))
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert "64 open streams" in caught.value.details()
    for call in calls:
        call.cancel()


def test_newer_session_ends_the_older_one_with_a_reason(served: Any, channel: grpc.Channel) -> None:
    credential = enrol(channel, served.client)

    def messages() -> Iterator[Any]:
        yield HELLO
        yield from waiting()

    older = connect(channel, credential, messages())
    assert next(older).WhichOneof("kind") == "welcome"
    newer = connect(channel, credential, messages())
    assert next(newer).WhichOneof("kind") == "welcome"
    with pytest.raises(grpc.RpcError) as caught:
        next(older)
    assert caught.value.code() is Code.FAILED_PRECONDITION
    newer.cancel()


def waiting() -> Iterator[Any]:
    """Says nothing for longer than any test lasts; ends with the thread that asks."""
    import threading

    threading.Event().wait(60.0)
    yield from ()
