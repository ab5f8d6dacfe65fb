"""A client of the controller that raises what a local call would raise."""

__all__ = ["FleetClient"]

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc

from fleetnas_controller.artifacts import sha256_of_file
from fleetnas_controller.jobs import (
    Artifact,
    Device,
    JoinToken,
    MeasurementRecord,
    MeasurementRequest,
    device_name,
    measurement_name,
)
from fleetnas_controller.wire import OURS, error_of_status, record_from_pb, to_pb
from fleetnas_protos.v1 import (
    artifact_pb2,
    artifact_pb2_grpc,
    device_pb2,
    device_pb2_grpc,
    measurement_pb2,
    measurement_pb2_grpc,
)
from fleetnas_search_spaces.errors import NotFoundError, UnavailableError

_CALL_S = 20.0
_TRANSFER_S = 600.0
_CHUNK_BYTES = 256 << 10
_MAX_MESSAGE_BYTES = 64 << 20
_PAGE_SIZE = 500
_RETRY_S = 0.2

Answer = TypeVar("Answer")


class FleetClient:
    """Calls a controller. Every call has a deadline; a context manager closes the connection.

    Args:
        address: ``HOST:PORT`` of the controller.
        operator_token: From the controller's data folder.
    """

    def __init__(self, address: str, operator_token: str) -> None:
        self._address = address
        self._metadata = (("authorization", f"Bearer {operator_token}"),)
        options = (
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.enable_http_proxy", 0),
        )
        self._channel = grpc.insecure_channel(address, options=options)
        self._devices = device_pb2_grpc.DeviceServiceStub(self._channel)
        self._measurements = measurement_pb2_grpc.MeasurementServiceStub(self._channel)
        self._artifacts = artifact_pb2_grpc.ArtifactServiceStub(self._channel)

    def __enter__(self) -> "FleetClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    # Artifacts

    def put_artifact(self, content: Path | bytes) -> Artifact:
        """Uploads a file or bytes unless the controller has them."""
        if isinstance(content, bytes):
            artifact = Artifact(hashlib.sha256(content).hexdigest(), len(content))
        else:
            artifact = sha256_of_file(content)
        try:
            request = artifact_pb2.GetArtifactRequest(sha256=artifact.sha256)
            self._call(self._artifacts.GetArtifact, request)
        except NotFoundError:
            self._call(self._artifacts.UploadArtifact, _parts(artifact, content), timeout_s=_TRANSFER_S)
        return artifact

    # Measurements

    def create_measurement(self, request: MeasurementRequest) -> MeasurementRecord:
        """Queues a measurement; asking twice with one id is asking once.

        Raises:
            AlreadyExistsError: Another request has the id.
            FailedPreconditionError: A file was not uploaded.
        """
        message = measurement_pb2.CreateMeasurementRequest(request=to_pb(request))
        return self._record(self._call(self._measurements.CreateMeasurement, message))

    def create_measurements(self, requests: Sequence[MeasurementRequest]) -> tuple[MeasurementRecord, ...]:
        """As ``create_measurement`` for up to 1,000 at once; none is created when one is refused."""
        message = measurement_pb2.BatchCreateMeasurementsRequest(
            requests=[measurement_pb2.CreateMeasurementRequest(request=to_pb(one)) for one in requests]
        )
        answer = self._call(self._measurements.BatchCreateMeasurements, message)
        return tuple(map(self._record, answer.measurements))

    def get_measurement(self, name: str) -> MeasurementRecord:
        message = measurement_pb2.GetMeasurementRequest(name=measurement_name(name))
        return self._record(self._call(self._measurements.GetMeasurement, message))

    def cancel_measurement(self, name: str) -> MeasurementRecord:
        message = measurement_pb2.CancelMeasurementRequest(name=measurement_name(name))
        return self._record(self._call(self._measurements.CancelMeasurement, message))

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]:
        """Waits until one of them is finished.

        Returns:
            Those that are finished by then; none when the time is over.

        Raises:
            UnavailableError: The controller is gone.
        """
        request = measurement_pb2.WatchMeasurementsRequest(names=[measurement_name(name) for name in names])
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0.0:
            call = self._measurements.WatchMeasurements(request, timeout=left_s, metadata=self._metadata)
            try:
                for answer in call:
                    records = [self._record(one) for one in answer.measurements]
                    finished = tuple(one for one in records if one.state.finished)
                    if finished:
                        return finished
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    return ()
                raise self._error(error) from error
            finally:
                call.cancel()
            # The stream ended without a finished one: the controller is stopping. Do not spin on it.
            time.sleep(_RETRY_S)
        return ()

    # Devices

    def list_devices(self) -> tuple[Device, ...]:
        found: list[Device] = []
        token = ""
        while True:
            request = device_pb2.ListDevicesRequest(page_size=_PAGE_SIZE, page_token=token)
            page = self._call(self._devices.ListDevices, request)
            found += [record_from_pb(one, Device) for one in page.devices]
            token = page.next_page_token
            if not token:
                return tuple(found)

    def get_device(self, name: str) -> Device:
        request = device_pb2.GetDeviceRequest(name=device_name(name))
        return record_from_pb(self._call(self._devices.GetDevice, request), Device)

    def drain_device(self, name: str) -> Device:
        request = device_pb2.DrainDeviceRequest(name=device_name(name))
        return record_from_pb(self._call(self._devices.DrainDevice, request), Device)

    def undrain_device(self, name: str) -> Device:
        request = device_pb2.UndrainDeviceRequest(name=device_name(name))
        return record_from_pb(self._call(self._devices.UndrainDevice, request), Device)

    def remove_device(self, name: str) -> None:
        self._call(self._devices.RemoveDevice, device_pb2.RemoveDeviceRequest(name=device_name(name)))

    def create_join_token(self, *, device_id: str = "", use_count: int = 1, ttl_s: float = 0.0) -> JoinToken:
        """A secret that lets an agent enrol; it is shown once.

        Args:
            device_id: The only device it may enrol; empty for any.
            ttl_s: 0 for the controller's default.
        """
        request = device_pb2.CreateJoinTokenRequest(device_id=device_id, use_count=use_count)
        request.ttl.FromMilliseconds(round(ttl_s * 1000))
        return record_from_pb(self._call(self._devices.CreateJoinToken, request), JoinToken)

    def _call(self, method: Callable[..., Answer], request: Any, timeout_s: float = _CALL_S) -> Answer:
        try:
            return method(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _error(self, error: grpc.RpcError) -> Exception:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and not _is_from_servicer(error):
            return UnavailableError(
                f"no controller answers at {self._address}. Is 'fleetnas serve' running there?"
            )
        return error_of_status(code, details)

    def _record(self, message: measurement_pb2.Measurement) -> MeasurementRecord:
        return record_from_pb(message, MeasurementRecord)


def _is_from_servicer(error: Any) -> bool:
    """What a server itself calls unavailable, e.g. a locked store, bears the mark of our servicers."""
    return any(key == OURS for key, _ in error.trailing_metadata() or ())


def _parts(artifact: Artifact, content: Path | bytes) -> Iterator[artifact_pb2.UploadArtifactRequest]:
    yield artifact_pb2.UploadArtifactRequest(artifact=to_pb(artifact))
    if isinstance(content, bytes):
        for start in range(0, len(content), _CHUNK_BYTES):
            yield artifact_pb2.UploadArtifactRequest(chunk=content[start : start + _CHUNK_BYTES])
        return
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield artifact_pb2.UploadArtifactRequest(chunk=chunk)
