"""Who has to be told what: sessions of agents, and clients that watch measurements."""

__all__ = ["Session", "SessionHub", "Watch"]

import asyncio
from collections.abc import Callable

from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.leases import LeaseKey
from fleetnas_controller.wire import lease_to_pb, to_pb
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    FleetNASError,
    PermissionDeniedError,
    ResourceExhaustedError,
)

# A peer that leaves so many messages unread is not listening.
_BACKLOG = 1000
_WATCH_BACKLOG = 10_000
# Results carry their raw samples, so an answer holds a bounded number.
_WATCH_PART = 25
# What was sent before the end of a session still goes out if the peer takes it within so long.
_FAREWELL_S = 5.0


class Session:
    """Messages on their way to one agent."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.error: FleetNASError | None = None
        self._queue: asyncio.Queue[fleet_pb2.ControllerMessage | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self.farewell_s = _FAREWELL_S

    def send(self, message: fleet_pb2.ControllerMessage) -> None:
        if self.error is not None:
            return
        if self._queue.qsize() >= _BACKLOG:
            self.farewell_s = 0.0
            self.end(ResourceExhaustedError(f"{self.device} left {_BACKLOG} messages unread. Read them."))
        else:
            self._queue.put_nowait(message)

    def end(self, error: FleetNASError) -> None:
        """What was sent before still goes out; the first reason stays."""
        if self.error is None:
            self.error = error
            self.send_no_more()
            self._ended.set()

    def send_no_more(self) -> None:
        """``next`` ends after what was sent before."""
        self._queue.put_nowait(None)

    async def next(self) -> fleet_pb2.ControllerMessage | None:
        """The next message; ``None`` when the session has ended."""
        return await self._queue.get()

    async def over(self) -> None:
        """Returns when the session has ended and the peer had its time to take what was sent before."""
        await self._ended.wait()
        await asyncio.sleep(self.farewell_s)


class Watch:
    """Changes of the measurements that ``wanted`` accepts, in order."""

    def __init__(self, wanted: Callable[[MeasurementRecord], bool]) -> None:
        self.wanted = wanted
        self._queue: asyncio.Queue[MeasurementRecord | None] = asyncio.Queue()
        self._error: FleetNASError | None = None

    def put(self, record: MeasurementRecord) -> None:
        if self._error is not None or not self.wanted(record):
            return
        if self._queue.qsize() >= _WATCH_BACKLOG:
            self.end(
                ResourceExhaustedError(f"{_WATCH_BACKLOG} changes were left unread. Watch again, and read.")
            )
        else:
            self._queue.put_nowait(record)

    def end(self, error: FleetNASError) -> None:
        """Whoever reads hears of ``error``; the first reason stays."""
        if self._error is None:
            self._error = error
            # A watch with a hole is worth nothing, so what it holds may go at once.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)

    async def next(self) -> tuple[MeasurementRecord, ...]:
        """What has changed since, in order; waits for a first change and gives up to 25 that are there.

        Raises:
            ResourceExhaustedError: The reader was too slow to hear of every change.
            FleetNASError: What the watch was ended with.
        """
        records = [await self._queue.get()]
        while len(records) < _WATCH_PART and not self._queue.empty():
            records.append(self._queue.get_nowait())
        if self._error is not None:
            raise self._error
        return tuple(one for one in records if one is not None)


class SessionHub:
    """A ``FleetListener`` that passes on what it hears. One event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._watches: set[Watch] = set()

    def open(self, device: str) -> Session:
        """A new session; an earlier one of the same device ends."""
        earlier = self._sessions.get(device)
        if earlier is not None:
            earlier.end(
                FailedPreconditionError(f"a newer session of {device} began. Run one agent a device.")
            )
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
            message = f"the credential of {device} no longer holds. Enrol it with a new join token."
            self._sessions[device].end(PermissionDeniedError(message))

    def silenced(self, device: str, reason: str) -> None:
        if device in self._sessions:
            self._sessions[device].end(DeadlineExceededError(f"{device} was {reason}. Connect again."))

    def end_watches(self, error: FleetNASError) -> None:
        for watch in self._watches:
            watch.end(error)

    def end_all(self, error: FleetNASError) -> None:
        """Ends the sessions."""
        for session in self._sessions.values():
            session.end(error)

    def _send(self, device: str, message: fleet_pb2.ControllerMessage) -> None:
        # Without a session nothing is lost: the agent learns of it, or the lease ends, when it reconnects.
        if device in self._sessions:
            self._sessions[device].send(message)
