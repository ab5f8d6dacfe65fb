"""What the gateway lets through and what it refuses, without a browser."""

import asyncio
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.stand_ins.pages.fake_page import TARGET, FakePage, aiohttp, closed, heard, result_of, say

from fleetnas_controller.jobs import FaultKind, MeasurementState
from fleetnas_controller.listening import Tls, parse_address
from fleetnas_controller.pages.settings import PageSettings, parse_page_address
from fleetnas_controller.pages.site import find_site
from fleetnas_controller.server import ControllerServer
from fleetnas_latency.digest import output_digest
from fleetnas_latency.measurement import Verdict
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

pytestmark = pytest.mark.usefixtures("site")


def test_page_is_served_and_nothing_else_of_its_folder(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        assert await page.get("") == (200, b"<p>a page</p>")
        for address in ("secret.txt", "../files.json", "%2e%2e/files.json", "files.json"):
            status, body = await page.get(address)
            assert (status, b"has no file" in body) == (404, True)

    as_page(part)


def test_wrong_token_is_refused_in_one_line_and_many_have_to_wait(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        status, body = await page.post("guess")
        assert (status, b"unknown or used up" in body) == (403, True)
        for _ in range(9):
            await page.post("guess")
        status, body = await page.post("guess")
        assert (status, b"Try again in" in body) == (429, True)
        # Guessing credentials is guessing too.
        async with page.session("guess") as socket:
            assert (await closed(socket))[0] == 4429

    as_page(part)


def test_token_of_an_agent_is_none_for_a_page(fleet: Any, as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        status, body = await page.post(fleet.client.create_join_token().secret)
        assert (status, b"fleetnas device token --page" in body) == (403, True)

    as_page(part)


def test_enrolment_that_is_none_or_too_large_is_refused(fleet: Any, as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        for content, expected in ((b"\xff\xff", 422), (bytes(70_000), 413)):
            async with page._session.post(f"{fleet.page_url}enroll", data=content) as answer:
                assert answer.status == expected
                assert "error" in await answer.json()

    as_page(part)


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda socket: socket.send_bytes(b"\xff\xff\xff"), 4400),
        (lambda socket: socket.send_str("hello"), 4400),
        (lambda socket: socket.send_bytes(b""), 4400),
        (lambda socket: socket.send_bytes(bytes(5 << 20)), 1009),
    ],
    ids=["garbage", "text", "empty", "oversized"],
)
def test_frame_that_is_no_message_ends_the_session_and_not_the_controller(
    fleet: Any, as_page: Any, send: Any, code: int
) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            # The connection may be cut while the rest of a large frame is still on its way.
            with suppress(ConnectionError, aiohttp.ClientError):
                await send(socket)
                assert (await closed(socket))[0] in (code, 1006)
            assert socket.closed or code == 1009
        async with page.session() as socket:
            await page.hello(socket)

    as_page(part)


def test_unknown_credential_is_told_to_open_a_new_link(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        async with page.session("unknown") as socket:
            code, reason = await closed(socket)
        assert (code, "Open a new link" in reason) == (4403, True)

    as_page(part)


def test_second_page_of_a_device_takes_over(as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as first, page.session() as second:
            await page.hello(first)
            await page.hello(second)
            code, reason = await closed(first)
            assert (code, "newer session" in reason) == (4409, True)

    as_page(part)


def test_removed_device_is_told_so(fleet: Any, as_page: Any) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            await asyncio.to_thread(fleet.client.remove_device, "phone")
            assert (await closed(socket))[0] == 4403

    as_page(part)


def test_page_reads_the_files_of_its_own_job_only(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        other = await asyncio.to_thread(fleet.client.put_artifact, b"another's")
        async with page.session() as socket:
            await page.hello(socket)
            await asyncio.to_thread(fleet.ask, tmp_path, "m")
            lease = await heard(socket, "assignment")
            for file in lease.request.files:
                status, body = await page.get(f"files/{file.sha256}")
                assert (status, len(body)) == (200, file.size_bytes)
            assert (await page.get(f"files/{lease.request.files[0].sha256}", "guess"))[0] == 403
            entry = next(one.sha256 for one in lease.request.files if one.path == "net.onnx")
            status, body = await page.get(f"networks/{entry}")
            assert (status, b'"type": "float32"' in body) == (200, True)
            assert len((await page.get(f"networks/{entry}/inputs/0"))[1]) == 3 * 32 * 32 * 4
            assert (await page.get(f"networks/{entry}/inputs/1"))[0] == 404
            assert (await page.get(f"files/{other.sha256}"))[0] == 403

    as_page(part)


@pytest.fixture
def reported(fleet: Any, as_page: Any, tmp_path: Path) -> Callable[[Any], Any]:
    """The measurement after a page has reported that result."""

    def report(result: measurement_pb2.MeasurementResult) -> Any:
        async def part(page: FakePage) -> None:
            await page.enrol()
            async with page.session() as socket:
                await page.hello(socket)
                await asyncio.to_thread(fleet.ask, tmp_path, "m")
                lease = (await heard(socket, "assignment")).lease
                await say(socket, report=fleet_pb2.Report(lease=lease, target=TARGET, result=result))
                assert (await heard(socket, "acknowledgement")).accepted

        as_page(part)
        return fleet.client.get_measurement("m")

    return report


def test_output_that_differs_from_the_one_computed_here_is_wrong(reported: Any) -> None:
    record = reported(result_of(digest=[10.0, 1.0, 2.0, 1.0, *[0.5] * 6]))
    assert record.result.verdict is Verdict.WRONG_OUTPUT
    assert dict(record.result.evidence)["reference"].startswith("onnxruntime ")


def test_right_output_is_judged_by_its_runs(reported: Any, tmp_path: Path) -> None:
    from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime
    from fleetnas_search_spaces.emit_onnx import emit_onnx
    from fleetnas_search_spaces.registry import space
    from fleetnas_search_spaces.weights import WeightPool

    found = space("nas-bench-macro")
    model = emit_onnx(found.graph(found.parse("22222222")), WeightPool(tmp_path), key="m")
    (tmp_path / "net.onnx").write_bytes(model.model_bytes)
    digest = output_digest(OnnxRuntime().load(tmp_path / "net.onnx", 1).output)
    record = reported(result_of(digest))
    assert (record.state, record.result.verdict) == (MeasurementState.DONE, Verdict.OK)
    assert record.result.estimate.value == pytest.approx(2.001)


def test_runs_that_cannot_be_judged_give_the_job_back(reported: Any) -> None:
    record = reported(result_of(digest=[1.0], rounds=0))
    assert record.fault.kind is FaultKind.UNSOUND
    assert "cannot be judged" in record.fault.message


def test_link_is_refused_where_no_pages_are_served(tmp_path: Path) -> None:
    from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet

    fleet = EmbeddedFleet(tmp_path, AgentCommand("host", ("--driver", "host")))
    with fleet as client, pytest.raises(FailedPreconditionError, match="--pages"):
        client.create_join_token(page=True)


def test_link_is_bound_to_a_device_of_its_own(fleet: Any) -> None:
    token = fleet.client.create_join_token(page=True)
    assert token.device_id.startswith("page-")
    assert token.page_url == f"{fleet.page_url}#token={token.secret}"


def test_pages_in_plain_text_stay_on_this_machine_unless_that_is_accepted() -> None:
    lan = parse_page_address("192.0.2.7")
    assert str(lan) == "192.0.2.7:7080"
    assert PageSettings(lan).encrypted
    assert not PageSettings(lan, insecure_lan=True).encrypted
    assert not PageSettings(parse_page_address("127.0.0.1:0")).encrypted
    with pytest.raises(FailedPreconditionError, match="--insecure-lan"):
        assert PageSettings(lan, Tls.OFF).encrypted
    with pytest.raises(InvalidArgumentError, match="HOST:PORT"):
        parse_page_address("host:port")


def test_missing_page_is_said_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="make page"):
        find_site(tmp_path)


@pytest.mark.parametrize(
    "sources",
    [None, {"agents/page/src/page.js": "0" * 64}, {"agents/page/src/gone.js": "0" * 64}],
    ids=["built before sources were noted", "changed", "gone"],
)
def test_page_of_other_sources_is_refused_at_once_with_the_command_that_builds_it(
    site: Path, sources: dict[str, str] | None
) -> None:
    listed = json.loads((site / "files.json").read_text())
    (site / "files.json").write_text(json.dumps({**listed, "sources": sources}))
    with pytest.raises(FailedPreconditionError, match="of another version: build it with 'make page'"):
        find_site(site)


def test_encrypted_pages_show_a_certificate_of_the_fleet(tmp_path: Path) -> None:
    def fetched(address: str, context: ssl.SSLContext) -> str:
        with urllib.request.urlopen(address, context=context, timeout=60.0) as answer:
            return str(answer.read().decode())

    async def ask() -> tuple[str, str]:
        pages = PageSettings(parse_address("127.0.0.1:0"), Tls.ON)
        server = ControllerServer(tmp_path / "fleet", "127.0.0.1:0", pages=pages)
        await server.start()
        try:
            context = ssl.create_default_context(cafile=tmp_path / "fleet" / "authority.pem")
            found = await asyncio.to_thread(fetched, server.pages_address, context)
            with pytest.raises(urllib.error.URLError, match="certificate"):
                await asyncio.to_thread(fetched, server.pages_address, ssl.create_default_context())
            return server.pages_address, found
        finally:
            await server.stop()

    address, found = asyncio.run(ask())
    assert address.startswith("https://127.0.0.1:")
    assert found == "<p>a page</p>"


def test_token_command_prints_the_link_below_its_code(fleet: Any) -> None:
    command = [
        sys.executable, "-m", "fleetnas_controller.cli", "device", "token", "--page", "--model", "iPhone 6s",
        "--controller", fleet.address, "--data-dir", str(fleet.folder),
    ]  # fmt: skip
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[-1].startswith(f"{fleet.page_url}#token=")
    assert lines[-1].endswith("&model=iPhone%206s")
    # A code of 29 modules or more, two in each line of text, and its border.
    assert len(lines) > 15
    assert any("█" in one for one in lines)
