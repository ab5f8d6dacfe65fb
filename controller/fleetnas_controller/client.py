"""A client of the controller that raises what a local call would raise."""

__all__ = ["FleetClient"]

import hashlib
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType

import grpc

from fleetnas_controller.artifacts import sha256_of_file
from fleetnas_controller.connection import RETRY_S, Connection
from fleetnas_controller.credentials import Credentials
from fleetnas_controller.health import HealthCheck
from fleetnas_controller.jobs import (
    Artifact,
    Device,
    Grant,
    JoinToken,
    MeasurementRecord,
    MeasurementRequest,
    Role,
    device_name,
    grant_name,
    measurement_name,
)
from fleetnas_controller.latency_answers import LatencyAnswer, PredictedLatencies
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import SearchInfo, ToldLatency, TrialInfo, search_name
from fleetnas_controller.uploads import upload
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import (
    access_pb2,
    access_pb2_grpc,
    artifact_pb2,
    artifact_pb2_grpc,
    device_pb2,
    device_pb2_grpc,
    latency_pb2,
    latency_pb2_grpc,
    measurement_pb2,
    measurement_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from fleetnas_search_spaces.errors import (
    DeadlineExceededError,
    NotFoundError,
)


class FleetClient:
    """Calls a controller. Every call has a deadline; a context manager closes the connection.

    Args:
        address: ``HOST:PORT`` of the controller.
        credentials: What the controller knows the caller by; a bare text is the operator's token.
        patience_s: How long a controller that answered before and does no longer is asked again, at each call.
            Every call may be repeated: measurements bear ids that the client chose, files their own digests.
    """

    def __init__(self, address: str, credentials: Credentials | str, *, patience_s: float = 0.0) -> None:
        if isinstance(credentials, str):
            credentials = Credentials(token=credentials)
        self._connection = Connection(address, credentials, patience_s)
        channel = self._connection.channel
        self._devices = device_pb2_grpc.DeviceServiceStub(channel)
        self._measurements = measurement_pb2_grpc.MeasurementServiceStub(channel)
        self._artifacts = artifact_pb2_grpc.ArtifactServiceStub(channel)
        self._access = access_pb2_grpc.AccessServiceStub(channel)
        self._searches = search_pb2_grpc.SearchServiceStub(channel)
        self._latencies = latency_pb2_grpc.LatencyServiceStub(channel)

    def __enter__(self) -> "FleetClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.channel.close()

    # Artifacts

    def put_artifact(self, content: Path | bytes) -> Artifact:
        """Uploads a file or bytes unless the controller has them."""
        if isinstance(content, bytes):
            artifact = Artifact(hashlib.sha256(content).hexdigest(), len(content))
        else:
            artifact = sha256_of_file(content)
        try:
            request = artifact_pb2.GetArtifactRequest(sha256=artifact.sha256)
            self._connection.call(self._artifacts.GetArtifact, request)
        except NotFoundError:
            self._connection.patiently(
                lambda: upload(self._artifacts, artifact, content, self._connection.metadata)
            )
        return artifact

    # Measurements

    def create_measurement(self, request: MeasurementRequest) -> MeasurementRecord:
        """Queues a measurement; asking twice with one id is asking once.

        Raises:
            AlreadyExistsError: Another request has the id.
            FailedPreconditionError: A file was not uploaded.
        """
        message = measurement_pb2.CreateMeasurementRequest(request=to_pb(request))
        return self._record(self._connection.call(self._measurements.CreateMeasurement, message))

    def create_measurements(self, requests: Sequence[MeasurementRequest]) -> tuple[MeasurementRecord, ...]:
        """As ``create_measurement`` for up to 1,000 at once; none is created when one is refused."""
        message = measurement_pb2.BatchCreateMeasurementsRequest(
            requests=[measurement_pb2.CreateMeasurementRequest(request=to_pb(one)) for one in requests]
        )
        answer = self._connection.call(self._measurements.BatchCreateMeasurements, message)
        return tuple(map(self._record, answer.measurements))

    def get_measurement(self, name: str) -> MeasurementRecord:
        message = measurement_pb2.GetMeasurementRequest(name=measurement_name(name))
        return self._record(self._connection.call(self._measurements.GetMeasurement, message))

    def cancel_measurement(self, name: str) -> MeasurementRecord:
        message = measurement_pb2.CancelMeasurementRequest(name=measurement_name(name))
        return self._record(self._connection.call(self._measurements.CancelMeasurement, message))

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]:
        """Waits until one of them is finished.

        Returns:
            Those that are finished by then; none when the time is over.

        Raises:
            UnavailableError: The controller is gone.
        """
        request = measurement_pb2.WatchMeasurementsRequest(names=[measurement_name(name) for name in names])
        deadline = time.monotonic() + timeout_s
        lost_s: float | None = None
        while (left_s := deadline - time.monotonic()) > 0.0:
            call = self._measurements.WatchMeasurements(
                request, timeout=left_s, metadata=self._connection.metadata
            )
            try:
                for answer in call:
                    lost_s = None
                    records = [self._record(one) for one in answer.measurements]
                    finished = tuple(one for one in records if one.state.finished)
                    if finished:
                        return finished
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    return ()
                lost_s = time.monotonic() if lost_s is None else lost_s
                self._connection.check_patience(error, lost_s)
            finally:
                call.cancel()
            # The stream ended without a finished one: the controller is stopping. Do not spin on it.
            time.sleep(RETRY_S)
        return ()

    # Devices

    def list_devices(self) -> tuple[Device, ...]:
        request = device_pb2.ListDevicesRequest()
        pages = self._connection.pages(self._devices.ListDevices, request)
        return tuple(record_from_pb(one, Device) for page in pages for one in page.devices)

    def get_device(self, name: str) -> Device:
        request = device_pb2.GetDeviceRequest(name=device_name(name))
        return record_from_pb(self._connection.call(self._devices.GetDevice, request), Device)

    def drain_device(self, name: str) -> Device:
        request = device_pb2.DrainDeviceRequest(name=device_name(name))
        return record_from_pb(self._connection.call(self._devices.DrainDevice, request), Device)

    def undrain_device(self, name: str) -> Device:
        request = device_pb2.UndrainDeviceRequest(name=device_name(name))
        return record_from_pb(self._connection.call(self._devices.UndrainDevice, request), Device)

    def device_queue(self, name: str, limit: int = 50) -> tuple[tuple[MeasurementRecord, ...], int]:
        """The first ``limit`` measurements that wait for a device like this one, and how many wait in all."""
        request = device_pb2.ListDeviceQueueRequest(name=device_name(name), page_size=limit)
        answer = self._connection.call(self._devices.ListDeviceQueue, request)
        return tuple(self._record(one) for one in answer.measurements), answer.total_count

    def check_device(self, name: str) -> MeasurementRecord:
        """Asks for a health check; the measurement of the anchor that will be judged.

        Raises:
            FailedPreconditionError: The device is offline or drained.
        """
        request = device_pb2.CheckDeviceRequest(name=device_name(name))
        return self._record(self._connection.call(self._devices.CheckDevice, request))

    def release_device(self, name: str) -> Device:
        """Ends a quarantine; FailedPreconditionError when there is none."""
        request = device_pb2.ReleaseDeviceRequest(name=device_name(name))
        return record_from_pb(self._connection.call(self._devices.ReleaseDevice, request), Device)

    def health_checks(self, name: str, limit: int = 50) -> tuple[HealthCheck, ...]:
        """The latest ``limit`` health checks of a device, the latest first."""
        request = device_pb2.ListHealthChecksRequest(name=device_name(name))
        pages = self._connection.pages(self._devices.ListHealthChecks, request)
        found = (record_from_pb(one, HealthCheck) for page in pages for one in page.health_checks)
        return tuple(islice(found, max(limit, 0)))

    def remove_device(self, name: str) -> None:
        self._connection.call(
            self._devices.RemoveDevice, device_pb2.RemoveDeviceRequest(name=device_name(name))
        )

    def create_join_token(
        self, *, device_id: str = "", use_count: int = 1, ttl_s: float = 0.0, page: bool = False
    ) -> JoinToken:
        """A secret that lets an agent enrol; it is shown once.

        Args:
            device_id: The only device it may enrol; empty for any.
            ttl_s: 0 for the controller's default.
            page: For a browser: with the link that it opens, and bound to one device.
        """
        request = device_pb2.CreateJoinTokenRequest(device_id=device_id, use_count=use_count, page=page)
        request.ttl.FromMilliseconds(round(ttl_s * 1000))
        return record_from_pb(self._connection.call(self._devices.CreateJoinToken, request), JoinToken)

    # Access

    def create_grant(
        self, grant_id: str, role: Role, request_pem: bytes, *, ttl_s: float = 0.0
    ) -> tuple[Grant, bytes]:
        """Certifies a key.

        Args:
            ttl_s: 0 for the controller's default.

        Returns:
            The grant, and its certificate in PEM.
        """
        request = access_pb2.CreateGrantRequest(
            grant_id=grant_id,
            role=access_pb2.Grant.Role.Value(role.name),
            certificate_request_pem=request_pem,
        )
        request.ttl.FromMilliseconds(round(ttl_s * 1000))
        answer = self._connection.call(self._access.CreateGrant, request)
        return record_from_pb(answer.grant, Grant), answer.certificate_pem

    def list_grants(self) -> tuple[Grant, ...]:
        answer = self._connection.call(self._access.ListGrants, access_pb2.ListGrantsRequest())
        return tuple(record_from_pb(one, Grant) for one in answer.grants)

    def delete_grant(self, name: str) -> None:
        self._connection.call(self._access.DeleteGrant, access_pb2.DeleteGrantRequest(name=grant_name(name)))

    # Searches

    def create_search(self, config: SearchConfig) -> SearchInfo:
        """Begins a search on the controller; with the accuracy ``"client"`` one to propose and tell.

        Raises:
            AlreadyExistsError: Another search has the name.
            NotFoundError, InvalidArgumentError: A setting cannot be used.
        """
        request = search_pb2.CreateSearchRequest(config=to_pb(config))
        return record_from_pb(self._connection.call(self._searches.CreateSearch, request), SearchInfo)

    def get_search(self, name: str) -> SearchInfo:
        request = search_pb2.GetSearchRequest(name=search_name(name))
        return record_from_pb(self._connection.call(self._searches.GetSearch, request), SearchInfo)

    def list_searches(self) -> tuple[SearchInfo, ...]:
        """By name."""
        request = search_pb2.ListSearchesRequest()
        pages = self._connection.pages(self._searches.ListSearches, request)
        return tuple(record_from_pb(one, SearchInfo) for page in pages for one in page.searches)

    def cancel_search(self, name: str) -> SearchInfo:
        """Ends a search; FailedPreconditionError when it has ended otherwise."""
        request = search_pb2.CancelSearchRequest(name=search_name(name))
        return record_from_pb(self._connection.call(self._searches.CancelSearch, request), SearchInfo)

    def list_trials(self, search: str) -> tuple[TrialInfo, ...]:
        """By number."""
        request = search_pb2.ListTrialsRequest(name=search_name(search))
        pages = self._connection.pages(self._searches.ListTrials, request)
        return tuple(record_from_pb(one, TrialInfo) for page in pages for one in page.trials)

    def watch_search(self, name: str, timeout_s: float) -> Iterator[tuple[SearchInfo, tuple[TrialInfo, ...]]]:
        """The search with its trials, then with each change, until it has ended.

        Raises:
            DeadlineExceededError: It has not ended within ``timeout_s``.
        """
        request = search_pb2.WatchSearchRequest(name=search_name(name))
        call = self._searches.WatchSearch(request, timeout=timeout_s, metadata=self._connection.metadata)
        try:
            for answer in call:
                trials = tuple(record_from_pb(one, TrialInfo) for one in answer.trials)
                yield record_from_pb(answer.search, SearchInfo), trials
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise DeadlineExceededError(
                    f"the search '{name}' has not ended within {timeout_s:g} s. Watch it again."
                ) from error
            raise self._connection.error_of(error) from error
        finally:
            call.cancel()

    def propose(self, search: str, worker: str = "") -> TrialInfo:
        """A trial of an open search to evaluate; a named worker that holds one gets that one again.

        Raises:
            ResourceExhaustedError: The whole budget is proposed.
            FailedPreconditionError: The search is not open.
        """
        request = search_pb2.ProposeRequest(name=search_name(search), worker=worker)
        return record_from_pb(self._connection.call(self._searches.Propose, request), TrialInfo)

    def tell(
        self,
        search: str,
        number: int,
        accuracy: float | None,
        *,
        latencies: Sequence[ToldLatency] = (),
        fault: str = "",
    ) -> TrialInfo:
        """Ends a trial of an open search: an accuracy in percent, or None and why there is none.

        Returns:
            The trial as it is stored; told twice, the first counts.
        """
        request = search_pb2.TellRequest(name=search_name(search), number=number, fault=fault)
        if accuracy is not None:
            request.accuracy = accuracy
        for one in latencies:
            request.latencies.add(device=one.device, latency_ms=one.latency_ms, std_ms=one.std_ms)
        return record_from_pb(self._connection.call(self._searches.Tell, request), TrialInfo)

    # Latencies

    def list_targets(self) -> tuple[Target, ...]:
        """Targets that searches on the controller have measured."""
        answer = self._connection.call(self._latencies.ListTargets, latency_pb2.ListTargetsRequest())
        return tuple(record_from_pb(one, Target) for one in answer.targets)

    def query_latency(self, key: str, *, space: str, device: str = "") -> LatencyAnswer:
        """What the controller's table knows of an architecture or a block; errors as ``LatencyBook.query``."""
        request = latency_pb2.QueryLatencyRequest(device=device, space=space, key=key)
        return record_from_pb(self._connection.call(self._latencies.QueryLatency, request), LatencyAnswer)

    def predict_latencies(
        self, architectures: Sequence[str], *, space: str, device: str = ""
    ) -> PredictedLatencies:
        """Predictions from the controller's table; errors as ``LatencyBook.predict``."""
        request = latency_pb2.PredictLatenciesRequest(device=device, space=space, architectures=architectures)
        return record_from_pb(
            self._connection.call(self._latencies.PredictLatencies, request), PredictedLatencies
        )

    def _record(self, message: measurement_pb2.Measurement) -> MeasurementRecord:
        return record_from_pb(message, MeasurementRecord)
