"""Any message that protobuf lets through ends in an answer or a typed error, and a refusal changes nothing."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from fleetnas_controller.enrolment import AttemptLimit, digest_of
from fleetnas_controller.fleet_store import SqliteFleetStore
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.health import HealthSettings
from fleetnas_controller.health_monitor import HealthMonitor
from fleetnas_controller.health_store import SqliteHealthStore
from fleetnas_controller.servicers.access_servicer import AccessServicer
from fleetnas_controller.servicers.artifact_servicer import ArtifactServicer
from fleetnas_controller.servicers.calls import Access, StreamLimit
from fleetnas_controller.servicers.device_servicer import DeviceServicer
from fleetnas_controller.servicers.fleet_servicer import FleetServicer
from fleetnas_controller.servicers.measurement_servicer import MeasurementServicer
from fleetnas_controller.sessions import SessionHub
from fleetnas_controller.wire import to_pb
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


class Refused(Exception):  # noqa: N818 - it is what a call's end looks like, not an error of ours
    """What ``abort`` raises."""


class Context:
    """A call as the servicers see it, made by the operator."""

    def __init__(self) -> None:
        self.code = grpc.StatusCode.OK

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        return {}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", "Bearer operator"),)

    def peer(self) -> str:
        return "ipv4:192.0.2.1:5000"

    async def abort(self, code: grpc.StatusCode, message: str, trailing: object = ()) -> None:
        self.code = code
        assert message.strip()
        raise Refused


class Desk:
    """A controller without a network, with a leased measurement ``m`` on ``a`` and a queued one ``n``."""

    def __init__(self, make_world: Callable[..., Any]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.database = Database(memory=True)
        self.world = make_world(Path(self._folder.name), SqliteFleetStore(self.database))
        world, hub = self.world, SessionHub()
        self.device = world.join("a")
        world.create("m")
        world.create("n")
        grants = GrantBook(world.store, None, world.clock)
        access = Access(world.enrolment, grants, digest_of("operator"))
        health = HealthMonitor(
            world.fleet,
            world.store,
            SqliteHealthStore(self.database, "memory"),
            world.artifacts,
            world.clock,
            HealthSettings(automatic=False),
        )
        attempts, streams = AttemptLimit(world.clock), StreamLimit()
        self.fleet = FleetServicer(world.fleet, hub, access, grants, world.settings, attempts, streams)
        self.devices = DeviceServicer(world.fleet, world.enrolment, access, health, str)
        self.measurements = MeasurementServicer(world.book, hub, access, streams)
        self.artifacts = ArtifactServicer(world.artifacts, world.fleet, access)
        self.access = AccessServicer(grants, access)

    def dump(self) -> list[str]:
        """Everything that is stored."""
        return [
            *self.database.conn.iterdump(),
            *sorted(path.name for path in Path(self._folder.name).rglob("*")),
        ]

    def call(self, method: Callable[..., Any], request: Any) -> None:
        """Makes the call and checks that a refused one left no trace."""
        before, context = self.dump(), Context()
        try:
            answer = asyncio.run(_first(method(request, context)))
            if isinstance(answer, Message):
                answer.SerializeToString()
        except Refused:
            assert context.code is not grpc.StatusCode.UNKNOWN
            assert self.dump() == before
        else:
            self.world.restart()  # what was accepted can be read again
            self.world.book.list(1000, "")

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *error: object) -> None:
        self.database.close()
        self._folder.cleanup()


async def _first(answer: Any) -> Any:
    """The answer, or the first of a stream that gives one at once."""
    if not hasattr(answer, "__anext__"):
        return await answer
    try:
        return await asyncio.wait_for(anext(answer), 0.01)
    except (StopAsyncIteration, TimeoutError):
        return None
    finally:
        await answer.aclose()


@pytest.fixture
def make_world(make_fleet_world: Callable[..., Any]) -> Callable[..., Any]:
    return make_fleet_world


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
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", CALLS)
def test_any_request_is_answered_or_refused_without_a_trace(
    name: str, make_world: Callable[..., Any]
) -> None:
    @FEW
    @given(messages(CALLS[name]))
    def check(request: Any) -> None:
        with Desk(make_world) as desk:
            servicer, _, method = name.partition(".")
            desk.call(getattr(getattr(desk, servicer), method), request)

    check()


def test_any_spoilt_measurement_is_answered_or_refused(make_world: Callable[..., Any]) -> None:
    @settings(FEW, max_examples=150)
    @given(mutations())
    def check(spoil: Callable[[Any], None]) -> None:
        with Desk(make_world) as desk:
            request = measurement_pb2.CreateMeasurementRequest(
                request=to_pb(desk.world.book.get("m").request)
            )
            request.request.measurement_id = "spoilt"
            spoil(request)
            desk.call(desk.measurements.CreateMeasurement, request)

    check()


def test_any_spoilt_enrolment_is_answered_or_refused(make_world: Callable[..., Any]) -> None:
    @settings(FEW, max_examples=80)
    @given(mutations())
    def check(spoil: Callable[[Any], None]) -> None:
        with Desk(make_world) as desk:
            device = to_pb(desk.world.fleet.devices.get("devices/a"))
            description = fleet_pb2.DeviceDescription(
                model="m", kind="host", targets=device.targets, labels={"a": "b"}
            )
            token = desk.world.enrolment.create_token().secret
            request = fleet_pb2.EnrollRequest(join_token=token, device_id="b", description=description)
            spoil(request)
            desk.call(desk.fleet.Enroll, request)

    check()


def test_any_upload_is_kept_whole_or_leaves_nothing(make_world: Callable[..., Any]) -> None:
    @FEW
    @given(st.lists(messages(artifact_pb2.UploadArtifactRequest), max_size=4))
    def check(parts: list[Any]) -> None:
        async def sent() -> AsyncIterator[Any]:
            for part in parts:
                yield part

        with Desk(make_world) as desk:
            desk.call(desk.artifacts.UploadArtifact, sent())

    check()


def test_any_message_of_a_session_is_answered_or_refused(make_world: Callable[..., Any]) -> None:
    @settings(FEW, max_examples=60)
    @given(messages(fleet_pb2.AgentMessage))
    def check(message: Any) -> None:
        with Desk(make_world) as desk:
            say(desk, message)

    check()


def test_any_spoilt_report_is_answered_or_refused(
    make_world: Callable[..., Any], good: Any, target: Any
) -> None:
    @settings(FEW, max_examples=150)
    @given(mutations())
    def check(spoil: Callable[[Any], None]) -> None:
        message = fleet_pb2.AgentMessage()
        message.report.lease.measurement, message.report.lease.fencing_token = "measurements/m", 1
        message.report.result.CopyFrom(to_message(good, measurement_pb2.MeasurementResult))
        message.report.target.CopyFrom(to_message(target, target_pb2.Target))
        spoil(message)
        with Desk(make_world) as desk:
            say(desk, message)

    check()


def say(desk: Desk, message: Any) -> None:
    """The message within a session of ``a``."""
    before = desk.dump()
    try:
        answer = desk.fleet._handle(desk.device, message)
        assert answer is not None
        answer.SerializeToString()
        counted = answer.WhichOneof("kind") == "acknowledgement" and answer.acknowledgement.accepted
    except FleetNASError:
        counted = False
    if not counted:
        assert desk.dump() == before
    desk.world.restart()
    for record in desk.world.book.list(1000, "").items:
        to_pb(record).SerializeToString()


def test_any_hello_opens_a_session_or_is_refused(make_world: Callable[..., Any]) -> None:
    @FEW
    @given(messages(fleet_pb2.Hello))
    def check(hello: Any) -> None:
        async def welcome(desk: Desk) -> None:
            session = SessionHub().open(desk.device)
            desk.fleet._welcome(session, hello)

        with Desk(make_world) as desk:
            before = desk.dump()
            try:
                asyncio.run(welcome(desk))
            except FleetNASError:
                assert desk.dump() == before
            desk.world.restart()

    check()
