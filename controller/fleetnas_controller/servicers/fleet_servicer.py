"""FleetService: enrolment and the sessions of agents."""

__all__ = ["FleetServicer"]

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import grpc

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.enrolment import AttemptLimit
from fleetnas_controller.fleet import Fleet, LeaseKey
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.jobs import measurement_name
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.servicers.calls import Access, Answering, StreamLimit, host_of
from fleetnas_controller.sessions import Session, SessionHub
from fleetnas_controller.wire import outcome_of_report, record_from_pb, to_pb
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import DeadlineExceededError, InvalidArgumentError, PermissionDeniedError

_log = logging.getLogger(__name__)
_MAX_LEASES = 1000


class FleetServicer(fleet_pb2_grpc.FleetServiceServicer):
    """See fleet.proto.

    Args:
        patience_s: How long a peer that opened a session may take to say hello.
    """

    def __init__(
        self,
        fleet: Fleet,
        hub: SessionHub,
        access: Access,
        grants: GrantBook,
        settings: FleetSettings,
        attempts: AttemptLimit,
        streams: StreamLimit,
        patience_s: float = 10.0,
    ) -> None:
        self._attempts = attempts
        self._streams = streams
        self._patience_s = patience_s
        self._fleet = fleet
        self._grants = grants
        self._hub = hub
        self._access = access
        self._settings = settings

    async def Enroll(self, request: fleet_pb2.EnrollRequest, context: Any) -> fleet_pb2.EnrollResponse:
        async with Answering(context):
            self._attempts.check(host_of(context))
            description = record_from_pb(request.description, DeviceDescription)
            issue = (
                self._grants.for_agent(request.certificate_request_pem) if self._grants.authority else None
            )
            try:
                device, credential = self._fleet.enrol(
                    request.join_token, request.device_id, description, issue
                )
            except PermissionDeniedError:
                self._attempts.refused(host_of(context))
                raise
            if issue is None:
                return fleet_pb2.EnrollResponse(device=to_pb(device), credential=credential.text)
            return fleet_pb2.EnrollResponse(device=to_pb(device), certificate_pem=credential.text.encode())

    async def RenewCertificate(
        self, request: fleet_pb2.RenewCertificateRequest, context: Any
    ) -> fleet_pb2.RenewCertificateResponse:
        async with Answering(context):
            device = self._access.device(context)
            pem = self._grants.renew(device, request.certificate_request_pem)
            return fleet_pb2.RenewCertificateResponse(certificate_pem=pem)

    # The stub knows generators only; a coroutine that reads and writes by its context is as good to grpc.aio.
    async def Connect(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        async with Answering(context):
            device = self._access.device(context)
            with self._streams.stream(context):
                hello = await _first(context, self._patience_s)
                await self._session(self._hub.open(device), hello, context)

    async def _session(self, session: Session, hello: fleet_pb2.Hello, context: Any) -> None:
        _log.info("%s connected from %s", session.device, context.peer())
        reason = "its agent closed the connection"
        try:
            self._welcome(session, hello)
            await self._exchange(session, context)
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

    async def _exchange(self, session: Session, context: Any) -> None:
        """Runs both directions until one ends; raises why, unless the agent said goodbye."""
        writing = asyncio.create_task(_write(session, context))
        tasks = {
            asyncio.create_task(self._read(session, context)),
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

    async def _read(self, session: Session, context: Any) -> None:
        while True:
            message = await context.read()
            if message is grpc.aio.EOF:
                return
            answer = self._handle(session.device, message)
            if answer is not None:
                session.send(answer)

    def _handle(self, device: str, message: fleet_pb2.AgentMessage) -> fleet_pb2.ControllerMessage | None:
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
            target = record_from_pb(report.target, Target) if report.HasField("target") else None
            answer = self._fleet.report(device, lease, outcome_of_report(report), target)
        except InvalidArgumentError as error:
            # The agent drops it, so that one broken report does not end every session; the lease runs out.
            acknowledgement.reason = str(error)
            return acknowledgement
        acknowledgement.accepted = answer.accepted
        acknowledgement.reason = answer.reason
        return acknowledgement


async def _first(context: Any, patience_s: float) -> fleet_pb2.Hello:
    try:
        message = await asyncio.wait_for(context.read(), patience_s)
    except TimeoutError:
        raise DeadlineExceededError(f"no hello within {patience_s:g} s. Send it first.") from None
    if message is grpc.aio.EOF or message.WhichOneof("kind") != "hello":
        raise InvalidArgumentError("a session begins with `hello`. Send it first.")
    hello: fleet_pb2.Hello = message.hello
    return hello


async def _write(session: Session, context: Any) -> None:
    while (message := await session.next()) is not None:
        await context.write(message)


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
