"""Joining a fleet, and staying in it, on a disk that is full: on a file system of its own."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio as aio
import pytest
from tests.disks import fill

from fleetnas_agents.jobs import DeviceDescription
from fleetnas_agents.membership import Membership
from fleetnas_agents.state import AgentState
from fleetnas_controller.authority import Authority
from fleetnas_protos.identity import Identity, new_key_and_request
from fleetnas_protos.join import JoinText
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import ResourceExhaustedError


class Controller(fleet_pb2_grpc.FleetServiceServicer):
    """Counts who asks to join, and signs what is to be renewed."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.enrolled = 0

    async def Enroll(self, request: Any, context: Any) -> fleet_pb2.EnrollResponse:
        self.enrolled += 1
        return fleet_pb2.EnrollResponse(credential="secret")

    async def RenewCertificate(self, request: Any, context: Any) -> fleet_pb2.RenewCertificateResponse:
        issued = self._authority.sign(request.certificate_request_pem, "devices/a", 86_400.0)
        return fleet_pb2.RenewCertificateResponse(certificate_pem=issued.certificate_pem)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, time.time)


@pytest.fixture
def disk(tmp_path: Path, small_disk: Callable[[Path, int], Path]) -> Path:
    return small_disk(tmp_path / "disk", 256)


async def _served(controller: Controller) -> tuple[aio.Server, str]:
    server = aio.server()
    fleet_pb2_grpc.add_FleetServiceServicer_to_server(controller, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def _membership(state: AgentState, address: str) -> Membership:
    return Membership(state, address, JoinText("token"), "a", DeviceDescription("m", "host", ()))


def test_full_disk_is_found_before_the_token_is_used_up(disk: Path, authority: Authority) -> None:
    state, controller = AgentState(disk / "agent"), Controller(authority)
    ballast = fill(disk)

    async def join() -> None:
        server, address = await _served(controller)
        membership = _membership(state, address)
        with pytest.raises(ResourceExhaustedError, match=r"cannot write '.*credential'.*free some space"):
            await membership.connect()
        assert controller.enrolled == 0
        ballast.unlink()
        await (await membership.connect()).close()
        await server.stop(None)

    asyncio.run(join())
    assert (controller.enrolled, state.credential) == (1, "secret")
    assert [one.name for one in (disk / "agent").iterdir() if one.suffix == ".part"] == []


def test_disk_that_fills_up_while_the_controller_answers_loses_no_credential(
    disk: Path, authority: Authority
) -> None:
    state = AgentState(disk / "agent")

    class Filling(Controller):
        async def Enroll(self, request: Any, context: Any) -> fleet_pb2.EnrollResponse:
            fill(disk)
            return await super().Enroll(request, context)

    async def join() -> None:
        server, address = await _served(Filling(authority))
        await (await _membership(state, address).connect()).close()
        await server.stop(None)

    asyncio.run(join())
    assert AgentState(disk / "agent").credential == "secret"


def test_certificate_is_renewed_once_a_full_disk_has_space_again(
    disk: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("fleetnas_agents.membership._RENEWAL_CHECK_S", 0.02)
    state = AgentState(disk / "agent")
    key, request = new_key_and_request()
    old = authority.sign(request, "devices/a", 60.0).certificate_pem
    with state.room_for_identity() as keep:
        keep(Identity(key, old, authority.certificate_pem))
    ballast = fill(disk)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20.0):
            while not condition():
                await asyncio.sleep(0.01)

    async def renew() -> None:
        server, address = await _served(Controller(authority))
        async with aio.insecure_channel(address) as channel:
            renewing = asyncio.create_task(_membership(state, address).keep_fresh(channel))
            with caplog.at_level(logging.WARNING):
                await until(lambda: caplog.text.count("could not be renewed yet: cannot write") >= 2)
            assert state.identity is not None
            assert state.identity.certificate_pem == old
            ballast.unlink()
            await until(lambda: state.identity is not None and state.identity.certificate_pem != old)
            assert not renewing.done()
            renewing.cancel()
        await server.stop(None)

    asyncio.run(renew())


def test_agent_killed_before_it_kept_the_answer_makes_the_same_attempt_again(
    tmp_path: Path, authority: Authority
) -> None:
    attempts: list[str] = []

    class Forgetful(Controller):
        """Its first answer never arrives: the agent is gone, or the wire is."""

        async def Enroll(self, request: Any, context: Any) -> fleet_pb2.EnrollResponse:
            attempts.append(request.attempt_id)
            if len(attempts) == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer got lost")
            return await super().Enroll(request, context)

    async def join() -> None:
        server, address = await _served(Forgetful(authority))
        with pytest.raises(aio.AioRpcError):
            await _membership(AgentState(tmp_path / "agent"), address).connect()
        await (await _membership(AgentState(tmp_path / "agent"), address).connect()).close()
        AgentState(tmp_path / "agent").forget_credential()
        await (await _membership(AgentState(tmp_path / "agent"), address).connect()).close()
        await server.stop(None)

    asyncio.run(join())
    assert len(attempts[0]) == 32
    assert attempts[0] == attempts[1] != attempts[2]
