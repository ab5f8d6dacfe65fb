"""The fleet's dataclasses as protobuf messages, and errors as status codes; both ways."""

__all__ = [
    "error_of_status",
    "lease_to_pb",
    "outcome_of_report",
    "pack",
    "record_from_pb",
    "status_of_error",
    "to_pb",
    "unpack",
]

from typing import TypeVar, overload

import grpc
from google.protobuf.message import DecodeError, Message

from fleetnas_controller import jobs
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target
from fleetnas_protos.mirror import from_message, to_message
from fleetnas_protos.v1 import access_pb2, artifact_pb2, device_pb2, fleet_pb2, measurement_pb2, target_pb2
from fleetnas_search_spaces import errors

Data = TypeVar("Data")

_MESSAGES: dict[type, type[Message]] = {
    Target: target_pb2.Target,
    Measurement: measurement_pb2.MeasurementResult,
    jobs.Artifact: artifact_pb2.Artifact,
    jobs.Device: device_pb2.Device,
    jobs.Fault: measurement_pb2.Fault,
    jobs.Grant: access_pb2.Grant,
    jobs.JoinToken: device_pb2.JoinToken,
    jobs.MeasurementRecord: measurement_pb2.Measurement,
    jobs.MeasurementRequest: measurement_pb2.MeasurementRequest,
}

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


@overload
def to_pb(data: jobs.Artifact) -> artifact_pb2.Artifact: ...
@overload
def to_pb(data: jobs.Device) -> device_pb2.Device: ...
@overload
def to_pb(data: jobs.Grant) -> access_pb2.Grant: ...
@overload
def to_pb(data: jobs.JoinToken) -> device_pb2.JoinToken: ...
@overload
def to_pb(data: jobs.MeasurementRecord) -> measurement_pb2.Measurement: ...
@overload
def to_pb(data: jobs.MeasurementRequest) -> measurement_pb2.MeasurementRequest: ...
def to_pb(data: object) -> Message:
    """The message of one of the fleet's dataclasses."""
    return to_message(data, _MESSAGES[type(data)])


def record_from_pb(message: Message, data_type: type[Data]) -> Data:
    """The dataclass of a message.

    Raises:
        InvalidArgumentError: The message holds a value that the dataclass cannot have.
    """
    try:
        return from_message(message, data_type)
    except ValueError as error:
        raise errors.InvalidArgumentError(f"unusable {message.DESCRIPTOR.name}: {error}") from error


def pack(data: object) -> bytes:
    """What the store keeps: the serialized message, which the proto's own rules keep readable."""
    return to_message(data, _MESSAGES[type(data)]).SerializeToString()


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


def outcome_of_report(report: fleet_pb2.Report) -> Measurement | jobs.Fault:
    """The result or the fault that an agent reports.

    Raises:
        InvalidArgumentError: It holds neither, or a broken one.
    """
    kind = report.WhichOneof("outcome")
    if kind == "result":
        return record_from_pb(report.result, Measurement)
    if kind == "fault":
        return record_from_pb(report.fault, jobs.Fault)
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
