"""The session of an agent with the fleet, whatever carries its messages: a gRPC stream or a page's WebSocket."""

__all__ = ["AgentLink", "AgentSessions"]

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import measurement_name
from fleetnas_controller.leases import LeaseKey
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.sessions import Session, SessionHub
from fleetnas_controller.wire import outcome_of_report, record_from_pb
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import DeadlineExceededError, InvalidArgumentError

_log = logging.getLogger(__name__)
_MAX_LEASES = 1000


class AgentLink(Protocol):
    """Messages from and to one agent whose credential was checked."""

    @property
    def peer(self) -> str:
        """Where it is, for the log."""
        ...

    async def read(self) -> fleet_pb2.AgentMessage | None:
        """The next message; None when the agent said goodbye."""
        ...

    async def write(self, message: fleet_pb2.ControllerMessage) -> None: ...


class AgentSessions:
    """Runs sessions.

    Args:
        patience_s: How long a peer that opened one may take to say hello.
    """

    def __init__(
        self, fleet: Fleet, hub: SessionHub, settings: FleetSettings, patience_s: float = 10.0
    ) -> None:
        self._fleet = fleet
        self._hub = hub
        self._settings = settings
        self._patience_s = patience_s

    async def serve(self, device: str, link: AgentLink) -> None:
        """One session, from its first message to its end.

        Raises:
            FleetNASError: Why it ended, unless the agent said goodbye.
        """
        hello = await _first(link, self._patience_s)
        await self._session(self._hub.open(device), hello, link)

    async def _session(self, session: Session, hello: fleet_pb2.Hello, link: AgentLink) -> None:
        _log.info("%s connected from %s", session.device, link.peer)
        reason = "its agent closed the connection"
        try:
            self._welcome(session, hello)
            await self._exchange(session, link)
        except Exception as error:
            reason = str(error)
            raise
        finally:
            _log.info("the session of %s ended: %s", session.device, reason)
            if self._hub.close(session):
                self._fleet.disconnect(session.device, reason)

    def _welcome(self, session: Session, hello: fleet_pb2.Hello) -> None:
        welcome = fleet_pb2.Welcome(device=session.device)
        welcome.heartbeat_interval.FromMilliseconds(round(self._settings.heartbeat_s * 1000))
        welcome.lease_duration.FromMilliseconds(round(self._settings.lease_s * 1000))
        session.send(fleet_pb2.ControllerMessage(welcome=welcome))
        description = record_from_pb(hello.description, DeviceDescription)
        self._fleet.connect(session.device, description, _keys(hello.held))

    async def _exchange(self, session: Session, link: AgentLink) -> None:
        """Runs both directions until one ends; raises why, unless the agent said goodbye."""
        writing = asyncio.create_task(_write(session, link))
        tasks = {
            asyncio.create_task(self._read(session, link)),
            writing,
            asyncio.create_task(session.over()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # A message under way may not be cut off: grpc then refuses to send the status as well.
            session.send_no_more()
            await asyncio.wait({writing}, timeout=session.farewell_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        if session.error is not None:
            raise session.error

    async def _read(self, session: Session, link: AgentLink) -> None:
        while True:
            message = await link.read()
            if message is None:
                return
            answer = self.handle(session.device, message)
            if answer is not None:
                session.send(answer)

    def handle(self, device: str, message: fleet_pb2.AgentMessage) -> fleet_pb2.ControllerMessage | None:
        """The answer to a message within a session; raises InvalidArgumentError on one that has no place there."""
        kind = message.WhichOneof("kind")
        if kind == "heartbeat":
            self._fleet.heartbeat(device, _keys(message.heartbeat.held))
            return fleet_pb2.ControllerMessage(heartbeat=fleet_pb2.Heartbeat())
        if kind == "report":
            return fleet_pb2.ControllerMessage(acknowledgement=self._report(device, message.report))
        raise InvalidArgumentError(f"message '{kind}' is not expected within a session. Update the agent.")

    def _report(self, device: str, report: fleet_pb2.Report) -> fleet_pb2.Acknowledgement:
        lease = _key(report.lease)
        acknowledgement = fleet_pb2.Acknowledgement(lease=report.lease)
        try:
            outcome, target = outcome_of_report(report)
            answer = self._fleet.report(device, lease, outcome, target)
        except InvalidArgumentError as error:
            # The agent drops it, so that one broken report does not end every session; the lease runs out.
            acknowledgement.reason = str(error)
            return acknowledgement
        acknowledgement.accepted = answer.accepted
        acknowledgement.reason = answer.reason
        return acknowledgement


async def _first(link: AgentLink, patience_s: float) -> fleet_pb2.Hello:
    try:
        message = await asyncio.wait_for(link.read(), patience_s)
    except TimeoutError:
        raise DeadlineExceededError(f"no hello within {patience_s:g} s. Send it first.") from None
    if message is None or message.WhichOneof("kind") != "hello":
        raise InvalidArgumentError("a session begins with `hello`. Send it first.")
    return message.hello


async def _write(session: Session, link: AgentLink) -> None:
    while (message := await session.next()) is not None:
        await link.write(message)


def _keys(leases: Iterable[fleet_pb2.Lease]) -> list[LeaseKey]:
    """Raises InvalidArgumentError on a name that no measurement can have, and on more than ``_MAX_LEASES``."""
    keys = [_key(lease) for lease in leases]
    if len(keys) > _MAX_LEASES:
        raise InvalidArgumentError(
            f"`held` names {len(keys)} leases, at most {_MAX_LEASES} may. Report some first."
        )
    return keys


def _key(lease: fleet_pb2.Lease) -> LeaseKey:
    # It comes back in answers, so its length must be bounded.
    return LeaseKey(measurement_name(lease.measurement), lease.fencing_token)
