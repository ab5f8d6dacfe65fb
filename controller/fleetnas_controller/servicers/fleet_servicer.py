"""FleetService: enrolment and the sessions of agents."""

__all__ = ["FleetServicer"]

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.fleet import Fleet, LeaseKey
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.servicers.calls import Access, Answering
from fleetnas_controller.sessions import Session, SessionHub
from fleetnas_controller.wire import outcome_of_report, record_from_pb, to_pb
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import DeadlineExceededError, InvalidArgumentError

_HELLO_TIMEOUT_S = 10.0


class FleetServicer(fleet_pb2_grpc.FleetServiceServicer):
    """See fleet.proto."""

    def __init__(
        self, fleet: Fleet, hub: SessionHub, access: Access, grants: GrantBook, settings: FleetSettings
    ) -> None:
        self._fleet = fleet
        self._grants = grants
        self._hub = hub
        self._access = access
        self._settings = settings

    async def Enroll(self, request: fleet_pb2.EnrollRequest, context: Any) -> fleet_pb2.EnrollResponse:
        async with Answering(context):
            description = record_from_pb(request.description, DeviceDescription)
            issue = (
                self._grants.for_agent(request.certificate_request_pem) if self._grants.authority else None
            )
            device, credential = self._fleet.enrol(request.join_token, request.device_id, description, issue)
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
            hello = await _first(context)
            session = self._hub.open(device)
            reason = "its agent closed the connection"
            try:
                self._welcome(session, hello)
                reason = await self._exchange(session, context) or reason
            finally:
                if self._hub.close(session):
                    self._fleet.disconnect(device, reason)

    def _welcome(self, session: Session, hello: fleet_pb2.Hello) -> None:
        welcome = fleet_pb2.Welcome(device=session.device)
        welcome.heartbeat_interval.FromMilliseconds(round(self._settings.heartbeat_s * 1000))
        welcome.lease_duration.FromMilliseconds(round(self._settings.lease_s * 1000))
        session.send(fleet_pb2.ControllerMessage(welcome=welcome))
        description = record_from_pb(hello.description, DeviceDescription)
        self._fleet.connect(session.device, description, _keys(hello.held))

    async def _exchange(self, session: Session, context: Any) -> str:
        """Runs both directions until one ends; the reason, if there is one."""
        tasks = {
            asyncio.create_task(self._read(session, context)),
            asyncio.create_task(_write(session, context)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        return session.end_reason

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
        lease = LeaseKey(report.lease.measurement, report.lease.fencing_token)
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


async def _first(context: Any) -> fleet_pb2.Hello:
    try:
        message = await asyncio.wait_for(context.read(), _HELLO_TIMEOUT_S)
    except TimeoutError:
        raise DeadlineExceededError(f"no hello within {_HELLO_TIMEOUT_S:g} s. Send it first.") from None
    if message is grpc.aio.EOF or message.WhichOneof("kind") != "hello":
        raise InvalidArgumentError("a session begins with `hello`. Send it first.")
    hello: fleet_pb2.Hello = message.hello
    return hello


async def _write(session: Session, context: Any) -> None:
    while (message := await session.next()) is not None:
        await context.write(message)


def _keys(leases: Iterable[fleet_pb2.Lease]) -> list[LeaseKey]:
    return [LeaseKey(lease.measurement, lease.fencing_token) for lease in leases]
