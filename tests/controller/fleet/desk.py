"""A controller without a network that takes any message, and checks that a refused one left no trace."""

__all__ = ["Desk"]

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from sqlite_utils import Database
from tests.controller.fleet.conftest import SETTINGS, World

from fleetnas_controller.agent_sessions import AgentSessions
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
from fleetnas_search_spaces.errors import FleetNASError


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

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.database = Database(memory=True)
        self.world = World(Path(self._folder.name), SqliteFleetStore(self.database), SETTINGS)
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
        self.sessions = AgentSessions(world.fleet, hub, world.settings)
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

    def say(self, message: Any) -> None:
        """Says it within a session of ``a``, and checks the same."""
        before = self.dump()
        try:
            answer = self.sessions.handle(self.device, message)
            assert answer is not None
            answer.SerializeToString()
            counted = answer.WhichOneof("kind") == "acknowledgement" and answer.acknowledgement.accepted
        except FleetNASError:
            counted = False
        if not counted:
            assert self.dump() == before
        self.world.restart()
        for record in self.world.book.list(1000, "").items:
            to_pb(record).SerializeToString()

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
