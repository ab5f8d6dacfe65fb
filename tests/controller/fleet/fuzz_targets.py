"""What the fleet must take: any message at all, and sound ones that were spoilt somewhere.

Each target is a property of hypothesis. pytest draws a few examples of each; ``atheris_run`` drives the same
properties by the coverage of the code under them.
"""

__all__ = ["TARGETS"]

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controller.fleet.conftest import TARGET, measurement
from tests.controller.fleet.desk import Desk

from fleetnas_controller.sessions import SessionHub
from fleetnas_controller.wire import to_pb
from fleetnas_latency.measurement import StopReason
from fleetnas_protos.mirror import to_message
from fleetnas_protos.v1 import access_pb2, artifact_pb2, device_pb2, fleet_pb2, measurement_pb2, target_pb2
from fleetnas_search_spaces.errors import FleetNASError

NAMES = st.sampled_from(
    ["m", "measurements/m", "measurements/n", "a", "devices/a", "net.onnx", "../x", "", "\0", "é"]
)
TEXTS = NAMES | st.text(max_size=8)
INTEGERS = st.sampled_from([0, 1, 2, -1, 2**31 - 1, -(2**31)])
WIDE = INTEGERS | st.sampled_from([2**63 - 1, -(2**63), 253402300799, 315576000001])
REALS = st.sampled_from([0.0, 1.0, 0.95, -1.0, float("nan"), float("inf"), 1e300, 5e-324])
SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: INTEGERS,
    FieldDescriptor.CPPTYPE_INT64: WIDE,
    FieldDescriptor.CPPTYPE_DOUBLE: REALS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 7),
}


def messages(message_type: type[Message]) -> st.SearchStrategy[Any]:
    """Messages of the type with any of their fields set to anything."""

    @st.composite
    def draw_message(draw: st.DrawFn) -> Any:
        message: Any = message_type()
        for field in message_type.DESCRIPTOR.fields:
            if draw(st.booleans()):
                fill(draw, message, field)
        return message

    return draw_message()


def fill(draw: st.DrawFn, message: Any, field: Any) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name).update(draw(st.dictionaries(TEXTS, TEXTS, max_size=2)))
    elif field.message_type is not None:
        inner = messages(field.message_type._concrete_class)
        for item in draw(st.lists(inner, max_size=2)) if field.is_repeated else [draw(inner)]:
            place = getattr(message, field.name)
            (place.add() if field.is_repeated else place).CopyFrom(item)
    else:
        one = SCALARS.get(field.cpp_type, st.binary(max_size=9) if field.type == field.TYPE_BYTES else TEXTS)
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(one, max_size=3)))
        else:
            setattr(message, field.name, draw(one))


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[Any], None]:
    """Spoils one to three fields, anywhere in a message."""
    data = draw(st.data())

    def spoil(message: Any) -> None:
        for _ in range(data.draw(st.integers(0, 3))):
            place = message
            while True:
                field = data.draw(st.sampled_from(list(place.DESCRIPTOR.fields)))
                inner = (
                    field.message_type is not None and not field.is_repeated and place.HasField(field.name)
                )
                if not inner or data.draw(st.integers(0, 3)) == 0:
                    break
                place = getattr(place, field.name)
            place.ClearField(field.name)
            fill(data.draw, place, field)

    return spoil


CALLS = {
    "fleet.Enroll": fleet_pb2.EnrollRequest,
    "devices.CreateJoinToken": device_pb2.CreateJoinTokenRequest,
    "devices.GetDevice": device_pb2.GetDeviceRequest,
    "devices.ListDevices": device_pb2.ListDevicesRequest,
    "devices.DrainDevice": device_pb2.DrainDeviceRequest,
    "devices.UndrainDevice": device_pb2.UndrainDeviceRequest,
    "devices.RemoveDevice": device_pb2.RemoveDeviceRequest,
    "devices.ListDeviceQueue": device_pb2.ListDeviceQueueRequest,
    "devices.CheckDevice": device_pb2.CheckDeviceRequest,
    "devices.ReleaseDevice": device_pb2.ReleaseDeviceRequest,
    "devices.ListHealthChecks": device_pb2.ListHealthChecksRequest,
    "measurements.CreateMeasurement": measurement_pb2.CreateMeasurementRequest,
    "measurements.BatchCreateMeasurements": measurement_pb2.BatchCreateMeasurementsRequest,
    "measurements.GetMeasurement": measurement_pb2.GetMeasurementRequest,
    "measurements.ListMeasurements": measurement_pb2.ListMeasurementsRequest,
    "measurements.CancelMeasurement": measurement_pb2.CancelMeasurementRequest,
    "measurements.WatchMeasurements": measurement_pb2.WatchMeasurementsRequest,
    "artifacts.GetArtifact": artifact_pb2.GetArtifactRequest,
    "artifacts.GetUpload": artifact_pb2.GetUploadRequest,
    "access.CreateGrant": access_pb2.CreateGrantRequest,
    "access.ListGrants": access_pb2.ListGrantsRequest,
    "access.DeleteGrant": access_pb2.DeleteGrantRequest,
    "artifacts.DownloadArtifact": artifact_pb2.DownloadArtifactRequest,
}
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def _call(name: str) -> Callable[[], None]:
    @FEW
    @given(messages(CALLS[name]))
    def check(request: Any) -> None:
        with Desk() as desk:
            servicer, _, method = name.partition(".")
            desk.call(getattr(getattr(desk, servicer), method), request)

    return check


@settings(FEW, max_examples=50)
@given(mutations())
def _spoilt_measurement(spoil: Callable[[Any], None]) -> None:
    with Desk() as desk:
        request = measurement_pb2.CreateMeasurementRequest(request=to_pb(desk.world.book.get("m").request))
        request.request.measurement_id = "spoilt"
        spoil(request)
        desk.call(desk.measurements.CreateMeasurement, request)


@settings(FEW, max_examples=30)
@given(mutations())
def _spoilt_enrolment(spoil: Callable[[Any], None]) -> None:
    with Desk() as desk:
        device = to_pb(desk.world.fleet.devices.get("devices/a"))
        description = fleet_pb2.DeviceDescription(
            model="m", kind="host", targets=device.targets, labels={"a": "b"}
        )
        token = desk.world.enrolment.create_token().secret
        request = fleet_pb2.EnrollRequest(join_token=token, device_id="b", description=description)
        spoil(request)
        desk.call(desk.fleet.Enroll, request)


@FEW
@given(st.lists(messages(artifact_pb2.UploadArtifactRequest), max_size=4))
def _upload(parts: list[Any]) -> None:
    async def sent() -> AsyncIterator[Any]:
        for part in parts:
            yield part

    with Desk() as desk:
        desk.call(desk.artifacts.UploadArtifact, sent())


@settings(FEW, max_examples=25)
@given(messages(fleet_pb2.AgentMessage))
def _session_message(message: Any) -> None:
    with Desk() as desk:
        desk.say(message)


@settings(FEW, max_examples=50)
@given(mutations())
def _spoilt_report(spoil: Callable[[Any], None]) -> None:
    message = fleet_pb2.AgentMessage()
    message.report.lease.measurement, message.report.lease.fencing_token = "measurements/m", 1
    good = measurement(StopReason.CONVERGED)
    message.report.result.CopyFrom(to_message(good, measurement_pb2.MeasurementResult))
    message.report.target.CopyFrom(to_message(TARGET, target_pb2.Target))
    spoil(message)
    with Desk() as desk:
        desk.say(message)


@FEW
@given(messages(fleet_pb2.Hello))
def _hello(hello: Any) -> None:
    async def welcome(desk: Desk) -> None:
        desk.sessions._welcome(SessionHub().open(desk.device), hello)

    with Desk() as desk:
        before = desk.dump()
        try:
            asyncio.run(welcome(desk))
        except FleetNASError:
            assert desk.dump() == before
        desk.world.restart()


TARGETS: dict[str, Callable[[], None]] = {
    **{name: _call(name) for name in CALLS},
    "a spoilt measurement": _spoilt_measurement,
    "a spoilt enrolment": _spoilt_enrolment,
    "an upload": _upload,
    "a message of a session": _session_message,
    "a spoilt report": _spoilt_report,
    "a hello": _hello,
}
