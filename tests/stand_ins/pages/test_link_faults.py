"""Links that break, lie or fall silent in every phase of a page's work, and who may not have one."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stand_ins.pages.fake_page import (
    DESCRIPTION,
    TARGET,
    FakePage,
    aiohttp,
    ask,
    closed,
    heard,
    result_of,
    say,
)

from fleetnas_controller.jobs import FaultKind, MeasurementState
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2

pytestmark = pytest.mark.usefixtures("site")
ANSWER = result_of([1.0])


async def measurement(fleet: Any) -> Any:
    return await asyncio.to_thread(fleet.client.get_measurement, "m")


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def tear(socket: Any) -> None:
    """The connection is gone without a word."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x82\xfe\x10\x00\x00\x00\x00\x00only a part of it",
        b"\x82\x05plain",
        b"\xf2\x85\x00\x00\x00\x00never",
        b"\x8b\x80\x00\x00\x00\x00",
        b"\x00\x85\x00\x00\x00\x00never",
        b"\x89\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00",
        b"\x88\x81\x00\x00\x00\x00x",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=[
        "cut off", "unmasked", "reserved bits", "unknown kind", "the middle of nothing", "endless ping",
        "half a close", "HTTP",
    ],
)  # fmt: skip
def test_frame_that_is_none_ends_this_session_and_no_other(fleet: Any, as_page: Any, raw: bytes) -> None:
    async def part(page: FakePage) -> None:
        other = FakePage(fleet, page._session)
        await page.enrol()
        await other.enrol("other")
        async with page.session() as socket, other.session() as theirs:
            await page.hello(socket)
            await other.hello(theirs, device="other")
            socket._response.connection.transport.write(raw)
            await asyncio.sleep(0.2)
            tear(socket)
            await say(theirs, heartbeat=fleet_pb2.Heartbeat())
            await heard(theirs, "heartbeat")
        async with page.session() as socket:
            await page.hello(socket)

    as_page(part)


@pytest.mark.parametrize("protocol", ["fleetnas.v2", "chat"])
def test_page_of_another_version_is_told_to_reload(as_page: Any, protocol: str) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session(protocol=protocol) as socket:
            # Browsers drop a connection whose protocol is none of theirs, and show no reason.
            assert socket.protocol == protocol
            code, reason = await closed(socket)
            assert (code, "another version. Reload it" in reason) == (4400, True)

    as_page(part)


@pytest.mark.parametrize(
    "first",
    [
        {"heartbeat": fleet_pb2.Heartbeat()},
        {"report": fleet_pb2.Report(lease=fleet_pb2.Lease(measurement="measurements/m"))},
        {"hello": fleet_pb2.Hello()},
    ],
    ids=["heartbeat", "report", "a hello of nobody"],
)
def test_session_begins_with_hello(as_page: Any, first: dict[str, Any]) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await say(socket, **first)
            code, reason = await closed(socket)
            assert (code, bool(reason)) == (4400, True)

    as_page(part)


def test_second_hello_ends_the_session(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            await say(socket, hello=fleet_pb2.Hello(description=DESCRIPTION))
            code, reason = await closed(socket)
            assert (code, "not expected within a session" in reason) == (4400, True)

    as_page(part)


@pytest.mark.slow
def test_page_that_never_says_hello_is_let_go(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            code, reason = await closed(socket)
            assert (code, "no hello within" in reason) == (4408, True)

    as_page(part)


def test_session_is_a_websocket(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        status, body = await page.get("session")
        assert (status, b"Open the page in a browser" in body) == (422, True)

    as_page(part)


def test_page_without_a_credential_is_told_what_to_do(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        async with page.session("") as socket:
            code, reason = await closed(socket)
            assert (code, "Open a new link" in reason) == (4403, True)

    as_page(part)


def test_expired_link_says_so(fleet: Any, as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        token = fleet.client.create_join_token(device_id="phone", page=True, ttl_s=0.01).secret
        await asyncio.sleep(0.1)
        status, body = await page.post(token)
        assert (status, b"has expired" in body) == (403, True)

    as_page(part)


def test_link_of_one_device_makes_no_other(fleet: Any, as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        token = fleet.client.create_join_token(device_id="phone", page=True).secret
        status, body = await page.post(token, device_id="devices/other")
        assert (status, b"enrols 'phone' only" in body) == (403, True)
        # The link is not used up by that.
        assert (await page.post(token))[0] == 200

    as_page(part)


def test_new_link_for_the_same_device_ends_the_old_page_and_its_job_is_made_again(
    fleet: Any, as_page: Any, tmp_path: Path
) -> None:
    async def part(page: FakePage) -> None:
        newer = FakePage(fleet, page._session)
        await page.enrol()
        async with page.session() as old:
            await page.hello(old)
            lease = await ask(fleet, tmp_path, old)
            await newer.enrol()
            assert (await closed(old))[0] == 4403
            async with newer.session() as socket:
                await newer.hello(socket)
                again = (await heard(socket, "assignment")).lease
                assert again.fencing_token > lease.fencing_token
        record = await measurement(fleet)
        assert (record.attempt_count, record.fault.kind) == (2, FaultKind.INFRASTRUCTURE)

    as_page(part)


def test_removed_page_gives_its_job_to_another(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        other = FakePage(fleet, page._session)
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            await ask(fleet, tmp_path, socket)
            await other.enrol("other")
            async with other.session() as theirs:
                await other.hello(theirs, device="other")
                await asyncio.to_thread(fleet.client.remove_device, "phone")
                assert (await closed(socket))[0] == 4403
                await heard(theirs, "assignment")

    as_page(part)
    assert "removed from the fleet" in fleet.client.get_measurement("m").fault.message


@pytest.mark.parametrize("phase", ["before the job", "with the job", "while a file is fetched", "reported"])
def test_lost_link_costs_no_job_when_the_page_is_back_in_time(
    fleet: Any, as_page: Any, tmp_path: Path, phase: str
) -> None:
    """One attempt, and one result, wherever the link was cut."""

    async def part(page: FakePage) -> None:
        await page.enrol()
        held: list[fleet_pb2.Lease] = []
        async with page.session() as socket:
            await page.hello(socket)
            if phase != "before the job":
                held.append(await ask(fleet, tmp_path, socket))
            if phase == "while a file is fetched":
                # The largest: a small one has arrived whole with the answer's head, and its connection is back.
                files = (await measurement(fleet)).request.files
                sha256 = max(files, key=lambda one: one.size_bytes).sha256
                answer = await page._session.get(
                    f"{fleet.page_url}files/{sha256}", headers={"Authorization": f"Bearer {page.credential}"}
                )
                answer.connection.transport.abort()
            if phase == "reported":
                await say(socket, report=fleet_pb2.Report(lease=held[0], target=TARGET, result=ANSWER))
            tear(socket)
        async with page.session() as socket:
            await page.hello(socket, held)
            lease = held[0] if held else await ask(fleet, tmp_path, socket)
            await say(socket, report=fleet_pb2.Report(lease=lease, target=TARGET, result=ANSWER))
            answer = await heard(socket, "acknowledgement")
            assert answer.accepted or (phase == "reported" and "done already" in answer.reason)

    as_page(part)
    record = fleet.client.get_measurement("m")
    assert (record.state, record.attempt_count) == (MeasurementState.DONE, 1)


def test_silent_page_loses_its_job_in_time_and_is_told_why(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            # Its browser answers pings for as long as the tab lives, frozen or not.
            code, reason = await closed(socket)
            assert (code, "Connect again" in reason) == (4408, True)
        await until(lambda: _failed_once(fleet))
        # Thawed, it offers what it had: its lease is over, and a result that is not sound changes nothing.
        async with page.session() as socket:
            await page.hello(socket, [lease])
            assert (await heard(socket, "cancellation")).lease == lease

    as_page(part)
    assert fleet.client.get_measurement("m").fault.kind is FaultKind.INFRASTRUCTURE


async def _failed_once(fleet: Any) -> bool:
    return (await measurement(fleet)).fault is not None


def test_page_that_sends_and_never_reads_is_let_go(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            stale = [fleet_pb2.Lease(measurement=f"measurements/{'x' * 100}{one}") for one in range(900)]
            # Not read from here on, so that answers pile up on the other side.
            socket._response.connection.transport.pause_reading()
            heartbeat = fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat(held=stale)).SerializeToString()
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                for _ in range(100):
                    await asyncio.wait_for(socket.send_bytes(heartbeat), 30.0)
            tear(socket)
        # Somebody else is served all the same, and so is it once it reads.
        async with page.session() as socket:
            await page.hello(socket)
            await ask(fleet, tmp_path, socket)

    as_page(part)


def test_five_pages_in_a_row_that_vanish_use_a_job_up(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        for attempt in range(5):
            async with page.session() as socket:
                await page.hello(socket)
                if attempt == 0:
                    await ask(fleet, tmp_path, socket)
                else:
                    await heard(socket, "assignment")
                tear(socket)
        async with page.session() as socket:
            await page.hello(socket)
            await until(lambda: _finished(fleet))

    as_page(part)
    record = fleet.client.get_measurement("m")
    assert (record.state, record.attempt_count) == (MeasurementState.FAILED, 5)
    assert record.fault.message.startswith("given up after 5 attempts")


async def _finished(fleet: Any) -> bool:
    return (await measurement(fleet)).state.finished


def test_two_crashes_count_as_the_networks_own(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    crash = measurement_pb2.Fault(kind=measurement_pb2.Fault.Kind.CRASH, message="out of memory")

    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            for _ in range(2):
                await say(socket, report=fleet_pb2.Report(lease=lease, target=TARGET, fault=crash))
                assert (await heard(socket, "acknowledgement")).accepted
                if not (await measurement(fleet)).state.finished:
                    lease = (await heard(socket, "assignment")).lease

    as_page(part)
    record = fleet.client.get_measurement("m")
    assert (record.state, record.fault.kind) == (MeasurementState.FAILED, FaultKind.MODEL)


def test_controller_that_is_started_again_takes_the_result_of_a_job_from_before(
    fleet: Any, as_page: Any, tmp_path: Path
) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            await asyncio.to_thread(fleet.stop)
            code, _ = await closed(socket)
            assert code in (1012, 4503, 1006)
        await asyncio.to_thread(fleet.start)
        async with page.session() as socket:
            await page.hello(socket, [lease])
            await say(socket, report=fleet_pb2.Report(lease=lease, target=TARGET, result=ANSWER))
            assert (await heard(socket, "acknowledgement")).accepted

    as_page(part)
    assert fleet.client.get_measurement("m").attempt_count == 1
