"""FleetService: enrolment and the sessions of agents."""

__all__ = ["FleetServicer"]

from typing import Any

import grpc

from fleetnas_controller.agent_sessions import AgentSessions
from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.enrolment import AttemptLimit
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.servicers.calls import Access, Answering, StreamLimit, host_of
from fleetnas_controller.sessions import SessionHub
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import PermissionDeniedError


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
        self._sessions = AgentSessions(fleet, hub, settings, patience_s)
        self._fleet = fleet
        self._grants = grants
        self._access = access

    async def Enroll(self, request: fleet_pb2.EnrollRequest, context: Any) -> fleet_pb2.EnrollResponse:
        async with Answering(context):
            self._attempts.check(host_of(context))
            description = record_from_pb(request.description, DeviceDescription)
            issue = (
                self._grants.for_agent(request.certificate_request_pem) if self._grants.authority else None
            )
            try:
                device, credential = self._fleet.enrol(
                    request.join_token, request.device_id, description, issue, request.attempt_id
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
                await self._sessions.serve(device, _CallLink(context))


class _CallLink:
    """A gRPC call as an ``AgentLink``."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def peer(self) -> str:
        return str(self._context.peer())

    async def read(self) -> fleet_pb2.AgentMessage | None:
        message = await self._context.read()
        return None if message is grpc.aio.EOF else message

    async def write(self, message: fleet_pb2.ControllerMessage) -> None:
        await self._context.write(message)
