"""The fleet's dataclasses as protobuf messages, and errors as status codes; both ways."""

__all__ = [
    "OURS",
    "error_of_status",
    "lease_to_pb",
    "outcome_of_report",
    "pack",
    "record_from_pb",
    "status_of_error",
    "to_pb",
    "unpack",
]

from dataclasses import replace
from threading import Lock
from typing import Any, Generic, TypeVar, overload

import grpc
from google.protobuf.message import DecodeError, Message

from fleetnas_controller import jobs
from fleetnas_controller.health import HealthCheck
from fleetnas_controller.latency_answers import LatencyAnswer, PredictedLatencies
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import SearchInfo, TrialInfo
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target
from fleetnas_protos.mirror import from_message, to_message
from fleetnas_protos.v1 import (
    access_pb2,
    artifact_pb2,
    device_pb2,
    fleet_pb2,
    latency_pb2,
    measurement_pb2,
    search_pb2,
    target_pb2,
)
from fleetnas_search_spaces import errors

Data = TypeVar("Data")
Proto = TypeVar("Proto", bound=Message)

OURS = "fleetnas-error"
"""Key in the trailing metadata of a call that a servicer refused: the status is its word, not the network's."""

_MESSAGES: dict[type, type[Message]] = {
    Target: target_pb2.Target,
    Measurement: measurement_pb2.MeasurementResult,
    HealthCheck: device_pb2.HealthCheck,
    LatencyAnswer: latency_pb2.LatencyEntry,
    PredictedLatencies: latency_pb2.PredictLatenciesResponse,
    SearchConfig: search_pb2.SearchConfig,
    SearchInfo: search_pb2.Search,
    TrialInfo: search_pb2.Trial,
    jobs.Artifact: artifact_pb2.Artifact,
    jobs.Device: device_pb2.Device,
    jobs.Fault: measurement_pb2.Fault,
    jobs.Grant: access_pb2.Grant,
    jobs.JoinToken: device_pb2.JoinToken,
    jobs.MeasurementRecord: measurement_pb2.Measurement,
    jobs.MeasurementRequest: measurement_pb2.MeasurementRequest,
}

_MAX_FAULT_CHARACTERS = 2000

# The first that fits wins, so children stand before their parents. A client maps back by the code alone.
_CODES: tuple[tuple[type[errors.FleetNASError], grpc.StatusCode], ...] = (
    (errors.InvalidArgumentError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.FailedPreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.InfeasibleError, grpc.StatusCode.OUT_OF_RANGE),
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (errors.DeadlineExceededError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.ResourceExhaustedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.PermissionDeniedError, grpc.StatusCode.PERMISSION_DENIED),
    (errors.CancelledError, grpc.StatusCode.CANCELLED),
    (errors.DataLossError, grpc.StatusCode.DATA_LOSS),
)


class _Memo(Generic[Proto]):
    """Messages of the latest dataclasses, by identity.

    In its life a measurement is answered, assigned, stored and watched, up to eight times in all; its request and
    its result, which never change, are the most of it and are turned into messages once.
    """

    def __init__(self, message_type: type[Proto], size: int) -> None:
        self._type = message_type
        self._size = size
        self._lock = Lock()
        # The object is kept beside its message, so that its id stays its own.
        self._known: dict[int, tuple[object, Proto]] = {}

    def put(self, data: object, message: Proto) -> Proto:
        with self._lock:
            if len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            self._known[id(data)] = data, message
        return message

    def message(self, data: object) -> Proto:
        known = self._known.get(id(data))
        return known[1] if known else self.put(data, to_message(data, self._type))


_requests = _Memo(measurement_pb2.MeasurementRequest, 2048)
# Few: a result has up to 20,000 runs.
_results = _Memo(measurement_pb2.MeasurementResult, 32)
_MEMOS: dict[type, _Memo[Any]] = {jobs.MeasurementRequest: _requests, Measurement: _results}


@overload
def to_pb(data: jobs.Artifact) -> artifact_pb2.Artifact: ...
@overload
def to_pb(data: jobs.Device) -> device_pb2.Device: ...
@overload
def to_pb(data: jobs.Grant) -> access_pb2.Grant: ...
@overload
def to_pb(data: HealthCheck) -> device_pb2.HealthCheck: ...
@overload
def to_pb(data: LatencyAnswer) -> latency_pb2.LatencyEntry: ...
@overload
def to_pb(data: PredictedLatencies) -> latency_pb2.PredictLatenciesResponse: ...
@overload
def to_pb(data: SearchConfig) -> search_pb2.SearchConfig: ...
@overload
def to_pb(data: SearchInfo) -> search_pb2.Search: ...
@overload
def to_pb(data: TrialInfo) -> search_pb2.Trial: ...
@overload
def to_pb(data: Target) -> target_pb2.Target: ...
@overload
def to_pb(data: jobs.JoinToken) -> device_pb2.JoinToken: ...
@overload
def to_pb(data: jobs.MeasurementRecord) -> measurement_pb2.Measurement: ...
@overload
def to_pb(data: jobs.MeasurementRequest) -> measurement_pb2.MeasurementRequest: ...
def to_pb(data: object) -> Message:
    """The message of one of the fleet's dataclasses. It may be shared: nobody changes it."""
    if isinstance(data, jobs.MeasurementRecord):
        return _record_to_pb(data)
    return _message(data)


def _message(data: object) -> Message:
    memo = _MEMOS.get(type(data))
    return memo.message(data) if memo else to_message(data, _MESSAGES[type(data)])


def _record_to_pb(record: jobs.MeasurementRecord) -> measurement_pb2.Measurement:
    rest: Any = replace(record, request=None, result=None)  # type: ignore[arg-type]
    message = to_message(rest, measurement_pb2.Measurement)
    message.request.MergeFrom(_requests.message(record.request))
    if record.result is not None:
        message.result.MergeFrom(_results.message(record.result))
    return message


def record_from_pb(message: Message, data_type: type[Data]) -> Data:
    """The dataclass of a message.

    Raises:
        InvalidArgumentError: The message holds a value that the dataclass cannot have.
    """
    try:
        data = from_message(message, data_type)
    except ValueError as error:
        raise errors.InvalidArgumentError(f"unusable {message.DESCRIPTOR.name}: {error}") from error
    if data_type in _MEMOS:
        _MEMOS[data_type].put(data, message)
    return data


def pack(data: object) -> bytes:
    """What the store keeps: the serialized message, which the proto's own rules keep readable."""
    return _message(data).SerializeToString()


def unpack(packed: bytes, data_type: type[Data]) -> Data:
    """Inverse of ``pack``.

    Raises:
        DataLossError: ``packed`` is no such message.
    """
    try:
        return from_message(_MESSAGES[data_type].FromString(packed), data_type)
    except (DecodeError, ValueError) as error:
        raise errors.DataLossError(
            f"a stored {data_type.__name__} is unreadable ({error}). Restore the data folder from a copy."
        ) from error


def lease_to_pb(measurement: str, fencing_token: int) -> fleet_pb2.Lease:
    return fleet_pb2.Lease(measurement=measurement, fencing_token=fencing_token)


def outcome_of_report(report: fleet_pb2.Report) -> tuple[Measurement | jobs.Fault, Target | None]:
    """The result or the fault that an agent reports, and what the result is a latency of.

    A result that cannot be read is an UNSOUND fault.

    Raises:
        InvalidArgumentError: It holds neither, or a broken fault.
    """
    kind = report.WhichOneof("outcome")
    if kind == "result":
        try:
            target = record_from_pb(report.target, Target) if report.HasField("target") else None
            return record_from_pb(report.result, Measurement), target
        except errors.InvalidArgumentError as error:
            return jobs.Fault(jobs.FaultKind.UNSOUND, f"the result cannot be read: {error}"), None
    if kind == "fault":
        fault = record_from_pb(report.fault, jobs.Fault)
        # It goes into the store and into every log: a line, whoever wrote it.
        return replace(fault, message=" ".join(fault.message[:_MAX_FAULT_CHARACTERS].split())), None
    raise errors.InvalidArgumentError("the report holds neither a result nor a fault. Send one of them.")


def status_of_error(error: errors.FleetNASError) -> grpc.StatusCode:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return grpc.StatusCode.UNKNOWN


def error_of_status(code: grpc.StatusCode, message: str) -> errors.FleetNASError:
    """What a local call would have raised; the base class for a status that no FleetNAS server sends."""
    for kind, known in _CODES:
        if code is known:
            return kind(message)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return errors.PermissionDeniedError(message)
    return errors.FleetNASError(f"the controller failed: {message} ({code.name}). Its log says more.")
