"""The controller over the wire: tokens, files, ports, waits."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import Artifact, MeasurementState
from fleetnas_controller.listening import Tls
from fleetnas_controller.measurements import MeasurementBook
from fleetnas_controller.server import ControllerServer
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import artifact_pb2, artifact_pb2_grpc, fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

CONTENT = b"network" * 100_000
ARTIFACT = Artifact(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_file_is_uploaded_once(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.client.put_artifact(CONTENT) == ARTIFACT

    def sent_again(*arguments: Any, **options: Any) -> None:
        pytest.fail("the controller had the file already")

    monkeypatch.setattr(served.client._artifacts, "UploadArtifact", sent_again)
    assert served.client.put_artifact(CONTENT) == ARTIFACT


def test_file_on_disk_is_uploaded_as_its_bytes_are(served: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    assert served.client.put_artifact(tmp_path / "net.onnx") == ARTIFACT


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", bytes(len(CONTENT))])
def test_file_that_is_not_as_announced_is_refused(served: Any, content: bytes) -> None:
    def parts() -> Iterator[artifact_pb2.UploadArtifactRequest]:
        yield artifact_pb2.UploadArtifactRequest(artifact=to_pb(ARTIFACT))
        yield artifact_pb2.UploadArtifactRequest(chunk=content)

    with grpc.insecure_channel(served.address) as channel:
        stub = artifact_pb2_grpc.ArtifactServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.UploadArtifact(parts(), metadata=served.client._connection.metadata, timeout=10)
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert list((served.data_dir / "artifacts").iterdir()) == []


def test_upload_without_announcement_is_refused(served: Any) -> None:
    with grpc.insecure_channel(served.address) as channel:
        stub = artifact_pb2_grpc.ArtifactServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.UploadArtifact(iter(()), metadata=served.client._connection.metadata, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("token", ["", "guessed"])
def test_operators_calls_need_the_operators_token(served: Any, token: str) -> None:
    with FleetClient(served.address, token) as client, pytest.raises(PermissionDeniedError, match="operator"):
        client.list_devices()


@pytest.mark.parametrize("credential", ["", "guessed"])
def test_session_needs_a_credential(served: Any, credential: str) -> None:
    hello = fleet_pb2.AgentMessage(hello=fleet_pb2.Hello())
    metadata = (("authorization", f"Bearer {credential}"),)
    with grpc.insecure_channel(served.address) as channel:
        stub = fleet_pb2_grpc.FleetServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Connect(iter([hello]), metadata=metadata, timeout=10))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_agents_read_the_files_of_their_own_job_only(served: Any) -> None:
    served.client.put_artifact(CONTENT)
    token = served.client.create_join_token(device_id="a")
    with grpc.insecure_channel(served.address) as channel:
        request = fleet_pb2.EnrollRequest(join_token=token.secret, device_id="a")
        credential = fleet_pb2_grpc.FleetServiceStub(channel).Enroll(request, timeout=10).credential
        download = artifact_pb2_grpc.ArtifactServiceStub(channel).DownloadArtifact
        wanted = artifact_pb2.DownloadArtifactRequest(sha256=ARTIFACT.sha256)
        with pytest.raises(grpc.RpcError) as caught:
            list(download(wanted, metadata=(("authorization", f"Bearer {credential}"),), timeout=10))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_remote_errors_are_the_local_ones(served: Any, measure: Callable[..., Any]) -> None:
    with pytest.raises(NotFoundError, match="no measurement 'measurements/none'"):
        served.client.get_measurement("none")
    with pytest.raises(NotFoundError, match="no device 'none'"):
        served.client.drain_device("none")
    measure(served.client, "m")
    with pytest.raises(AlreadyExistsError, match="another content"):
        measure(served.client, "m", device="other")


def test_wait_is_bounded(served: Any, measure: Callable[..., Any]) -> None:
    name = measure(served.client).name
    begin_s = time.monotonic()
    assert served.client.wait_any([name], 0.2) == ()
    assert time.monotonic() - begin_s < 10.0


def test_wait_hears_of_a_measurement_that_is_over_already(served: Any, measure: Callable[..., Any]) -> None:
    name = measure(served.client).name
    served.client.cancel_measurement(name)
    (record,) = served.client.wait_any([name], 10.0)
    assert record.state is MeasurementState.CANCELLED


def test_second_controller_of_a_folder_is_refused(served: Any) -> None:
    with pytest.raises(FailedPreconditionError, match="another controller serves"):
        ControllerServer(served.data_dir, "127.0.0.1:0")


@pytest.mark.parametrize("port", [-1, 65_536])
def test_enrolment_on_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'127.0.0.1:{port}' is no address"):
        ControllerServer(tmp_path / "data", "127.0.0.1:0", tls=Tls.ON, enroll_port=port)
    assert not (tmp_path / "data").exists()


def test_port_in_use_is_one_line(served: Any, processes: Any, tmp_path: Path) -> None:
    command = [
        "fleetnas_controller.cli",
        "serve",
        "--listen",
        served.address,
        "--data-dir",
        str(tmp_path / "b"),
    ]
    process = processes.start(command)
    _, said = process.communicate(timeout=30)
    ours = [line for line in said.splitlines() if line.startswith("fleetnas: ")]
    assert process.returncode == 1
    assert len(ours) == 1
    assert "the port is in use" in ours[0]


@pytest.mark.parametrize("listen", ["0.0.0.0:7070", "192.0.2.1:7070", "example.org:7070"])
def test_plain_text_on_an_address_that_others_reach_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(FailedPreconditionError, match="not a loopback"):
        ControllerServer(tmp_path, listen, tls=Tls.OFF)


@pytest.mark.parametrize("listen", ["7070", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", ":1"])
def test_what_is_no_address_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(InvalidArgumentError, match="HOST:PORT"):
        ControllerServer(tmp_path, listen)


def test_controller_that_is_not_there_is_named() -> None:
    with (
        FleetClient("127.0.0.1:1", "token") as client,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"),
    ):
        client.list_devices()


def test_what_the_controller_calls_unavailable_keeps_its_words(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(book: MeasurementBook, name: str) -> None:
        raise UnavailableError("the store is locked. Is another controller using it?")

    monkeypatch.setattr(MeasurementBook, "get", locked)
    with pytest.raises(UnavailableError, match="the store is locked"):
        served.client.get_measurement("m")


def test_batch_is_created_in_its_order_or_not_at_all(served: Any, measure: Callable[..., Any]) -> None:
    request = measure(served.client, "m").request
    batch = [replace(request, measurement_id=name) for name in ("z", "a", "m")]
    assert [one.name for one in served.client.create_measurements(batch)] == [
        "measurements/z",
        "measurements/a",
        "measurements/m",
    ]
    assert [served.client.get_measurement(name).queue_position for name in ("m", "z", "a")] == [1, 2, 3]
    with pytest.raises(InvalidArgumentError):
        served.client.create_measurements(
            [replace(request, measurement_id="new"), replace(request, measurement_id="bad", files=())]
        )
    with pytest.raises(NotFoundError):
        served.client.get_measurement("new")


def test_operators_token_is_readable_by_its_owner_only(served: Any) -> None:
    assert (served.data_dir / "operator.token").stat().st_mode & 0o077 == 0


def test_what_a_controller_itself_calls_unavailable_is_said_as_it_says_it(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*arguments: Any) -> None:
        raise UnavailableError("the store is held by another process: try again when it is done.")

    monkeypatch.setattr(MeasurementBook, "get", locked)
    with pytest.raises(UnavailableError, match="held by another process"):
        served.client.get_measurement("m")
    with pytest.raises(UnavailableError, match="held by another process"):
        served.client.wait_any(["m"], 10.0)
