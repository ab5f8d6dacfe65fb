"""How an agent is known to its fleet: joining, connecting as a member, and staying one."""

__all__ = ["Membership"]

import asyncio
import ipaddress
import logging
import time
from dataclasses import dataclass

import grpc
import grpc.aio as aio

from fleetnas_agents.identity import (
    enrolling_credentials,
    needs_renewal,
    new_key_and_request,
    session_credentials,
)
from fleetnas_agents.jobs import DeviceDescription
from fleetnas_agents.state import AgentState
from fleetnas_agents.wire import description_to_pb
from fleetnas_protos.identity import Identity
from fleetnas_protos.join import CONTROLLER_NAME, JoinText
from fleetnas_protos.speech import Speech, heard_at
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import InvalidArgumentError, PermissionDeniedError, ResourceExhaustedError

_log = logging.getLogger(__name__)

_ENROLL_S = 20.0
_RENEWAL_CHECK_S = 3600.0
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    # Several devices in one process each have a connection of their own, as devices have.
    ("grpc.use_local_subchannel_pool", 1),
    # The agent's own back-off decides when to dial again; the channel's would add to it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@dataclass(frozen=True, slots=True)
class Membership:
    """Joins with a token once, then connects with what it got: a certificate, or a secret on a loopback address.

    Args:
        controller: ``HOST:PORT``.
        join: Its ``secret`` is empty when the state should hold a credential already.
        device_id: The id to enrol under; empty lets the controller choose.
    """

    state: AgentState
    controller: str
    join: JoinText
    device_id: str
    description: DeviceDescription

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Of calls; a certificate needs none."""
        credential = self.state.credential
        return (("authorization", f"Bearer {credential}"),) if credential else ()

    @property
    def joined(self) -> bool:
        return bool(self.state.credential) or self.state.identity is not None

    def leave(self) -> bool:
        """Forgets a credential that no longer holds; whether there is a token to join again with."""
        if not self.join.secret or not self.joined:
            return False
        self.state.forget_credential()
        return True

    def misunderstanding(self) -> str:
        """Why controller and agent cannot understand each other, and the cure; empty where another try may help.

        Call it when nobody seems to answer. Blocks for some seconds at most.
        """
        identity = self.state.identity
        if self.joined:
            what, address = "this agent's credential", self.controller
            authority_pem = identity.authority_pem.decode("ascii") if identity is not None else ""
        else:
            what, authority_pem = "the join token", self.join.authority_pem
            address = self._enrolling_address if authority_pem else self.controller
        heard = heard_at(address, authority_pem)
        cure = (
            "check --controller, or join the fleet there with a token of its own ('fleetnas device token') and "
            "another --state-dir."
        )
        if heard is Speech.FOREIGN:
            return f"{address} belongs to another fleet than {what}: {cure}"
        if heard is Speech.PLAIN and authority_pem:
            return f"{address} does not encrypt, and {what} is of a fleet that does: {cure}"
        if heard is Speech.ENCRYPTED and not authority_pem:
            return f"{address} is encrypted, and {what} is of a fleet that is not: {cure}"
        return ""

    async def connect(self) -> aio.Channel:
        """A channel as a member, after joining where that is still to do.

        Raises:
            PermissionDeniedError: There is nothing to join with.
            FailedPreconditionError: The certificate has expired.
            ResourceExhaustedError: The disk is full; the token is not used up.
            InvalidArgumentError: Plain text would leave this machine; a credential for elsewhere still holds.
            grpc.aio.AioRpcError: The controller refuses, or is not there.
        """
        if not self.joined:
            await self._join()
        identity = self.state.identity
        if identity is None:
            return self._plain()
        return self._secure(self.controller, session_credentials(identity, time.time()))

    async def keep_fresh(self, channel: aio.Channel) -> None:
        """Renews the certificate whenever two thirds of its life are over. Runs until cancelled."""
        while True:
            identity = self.state.identity
            if identity is not None and needs_renewal(identity, time.time()):
                try:
                    await self._renew(channel, identity)
                except (aio.AioRpcError, ResourceExhaustedError) as error:
                    reason = error.details() if isinstance(error, aio.AioRpcError) else error
                    _log.warning("the certificate could not be renewed yet: %s", reason)
            await asyncio.sleep(_RENEWAL_CHECK_S)

    @property
    def _enrolling_address(self) -> str:
        return f"{self.controller.rpartition(':')[0]}:{self.join.port}"

    async def _join(self) -> None:
        if not self.join.secret:
            raise PermissionDeniedError(
                "this agent has not joined a fleet yet: give it a token from 'fleetnas device token', "
                "by --token-file or in FLEETNAS_TOKEN."
            )
        request = fleet_pb2.EnrollRequest(
            join_token=self.join.secret,
            device_id=self.device_id,
            description=description_to_pb(self.description),
        )
        if self.join.authority_pem:
            answer = await self._join_encrypted(request)
        else:
            with self.state.room_for_credential() as keep:
                request.attempt_id = self.state.attempt_id()
                async with self._plain() as channel:
                    answer = await fleet_pb2_grpc.FleetServiceStub(channel).Enroll(request, timeout=_ENROLL_S)
                keep(answer.credential)
        self.state.joined()
        _log.info("joined as %s", answer.device.name)

    async def _join_encrypted(self, request: fleet_pb2.EnrollRequest) -> fleet_pb2.EnrollResponse:
        key_pem, request.certificate_request_pem = new_key_and_request()
        authority_pem, address = self.join.authority_pem, self._enrolling_address
        with self.state.room_for_identity() as keep:
            request.attempt_id = self.state.attempt_id()
            async with self._secure(address, enrolling_credentials(authority_pem)) as channel:
                answer: fleet_pb2.EnrollResponse = await fleet_pb2_grpc.FleetServiceStub(channel).Enroll(
                    request, timeout=_ENROLL_S
                )
            keep(Identity(key_pem, answer.certificate_pem, authority_pem.encode("ascii")))
        return answer

    async def _renew(self, channel: aio.Channel, identity: Identity) -> None:
        key_pem, request_pem = new_key_and_request()
        request = fleet_pb2.RenewCertificateRequest(certificate_request_pem=request_pem)
        stub = fleet_pb2_grpc.FleetServiceStub(channel)
        with self.state.room_for_identity() as keep:
            answer = await stub.RenewCertificate(request, timeout=_ENROLL_S)
            keep(Identity(key_pem, answer.certificate_pem, identity.authority_pem))
        _log.info("the certificate was renewed")

    def _secure(self, address: str, credentials: grpc.ChannelCredentials) -> aio.Channel:
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", CONTROLLER_NAME))
        return aio.secure_channel(address, credentials, options=options)

    def _plain(self) -> aio.Channel:
        host = self.controller.rpartition(":")[0].strip("[]")
        if not _is_loopback(host):
            raise InvalidArgumentError(
                f"'{host}' is not this machine, and the credential would travel in plain text: run the controller "
                "with 'fleetnas serve --listen ADDRESS', which encrypts, and join with a token of it."
            )
        return aio.insecure_channel(self.controller, options=_OPTIONS)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
