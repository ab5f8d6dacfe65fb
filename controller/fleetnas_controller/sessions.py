"""Who has to be told what: sessions of agents, and clients that watch measurements."""

__all__ = ["Session", "SessionHub", "Watch"]

import asyncio
from collections.abc import Callable

from fleetnas_controller.fleet import LeaseKey
from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.wire import lease_to_pb, to_pb
from fleetnas_protos.v1 import fleet_pb2

# A peer that leaves so many messages unread is not listening.
_BACKLOG = 1000


class Session:
    """Messages on their way to one agent."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.end_reason = ""
        self._queue: asyncio.Queue[fleet_pb2.ControllerMessage | None] = asyncio.Queue()

    def send(self, message: fleet_pb2.ControllerMessage) -> None:
        if self._queue.qsize() >= _BACKLOG:
            self.end(f"{self.device} left {_BACKLOG} messages unread")
        elif not self.end_reason:
            self._queue.put_nowait(message)

    def end(self, reason: str) -> None:
        """What was sent before still goes out; the first reason stays."""
        if not self.end_reason:
            self.end_reason = reason
            self._queue.put_nowait(None)

    async def next(self) -> fleet_pb2.ControllerMessage | None:
        """The next message; ``None`` when the session has ended."""
        return await self._queue.get()


class Watch:
    """Changes of the measurements that ``wanted`` accepts, in order."""

    def __init__(self, wanted: Callable[[MeasurementRecord], bool]) -> None:
        self.wanted = wanted
        self._queue: asyncio.Queue[MeasurementRecord] = asyncio.Queue()

    def put(self, record: MeasurementRecord) -> None:
        if self.wanted(record):
            self._queue.put_nowait(record)

    async def next(self) -> MeasurementRecord:
        return await self._queue.get()


class SessionHub:
    """A ``FleetListener`` that passes on what it hears. One event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._watches: set[Watch] = set()

    def open(self, device: str) -> Session:
        """A new session; an earlier one of the same device ends."""
        earlier = self._sessions.get(device)
        if earlier is not None:
            earlier.end(f"a newer session of {device} began")
        self._sessions[device] = Session(device)
        return self._sessions[device]

    def close(self, session: Session) -> bool:
        """Forgets ``session``; whether it was still the device's own."""
        if self._sessions.get(session.device) is not session:
            return False
        del self._sessions[session.device]
        return True

    def watch(self, wanted: Callable[[MeasurementRecord], bool]) -> Watch:
        watch = Watch(wanted)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def assigned(self, record: MeasurementRecord) -> None:
        lease = lease_to_pb(record.name, record.fencing_token)
        assignment = fleet_pb2.Assignment(lease=lease, request=to_pb(record.request))
        self._send(record.device, fleet_pb2.ControllerMessage(assignment=assignment))

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        cancellation = fleet_pb2.Cancellation(
            lease=lease_to_pb(lease.measurement, lease.fencing_token), reason=reason
        )
        self._send(device, fleet_pb2.ControllerMessage(cancellation=cancellation))

    def changed(self, record: MeasurementRecord) -> None:
        for watch in self._watches:
            watch.put(record)

    def expelled(self, device: str) -> None:
        if device in self._sessions:
            self._sessions[device].end(f"the credential of {device} no longer holds")

    def end_all(self, reason: str) -> None:
        for session in self._sessions.values():
            session.end(reason)

    def _send(self, device: str, message: fleet_pb2.ControllerMessage) -> None:
        # Without a session nothing is lost: the agent learns of it, or the lease ends, when it reconnects.
        if device in self._sessions:
            self._sessions[device].send(message)
