"""A controller that serves pages, and a browser that opens one."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import Limits, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.listening import parse_address
from fleetnas_controller.operator import operator_token
from fleetnas_controller.pages.settings import PageSettings
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.server import ControllerServer
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

BUILT = Path(__file__).resolve().parents[3] / "build" / "page"
QUICK = Plan(
    min_duration_s=0.2,
    max_duration_s=1.0,
    min_run_count=5,
    min_round_count=2,
    warmup_min_s=0.1,
    warmup_cap_s=0.3,
)
# For jobs that something happens to while they run.
LONG = Plan(min_duration_s=60.0, max_duration_s=60.0, warmup_min_s=0.1, warmup_cap_s=0.3, max_run_count=10**6)
_NO_SIMD = (
    "--js-flags=--no-enable-ssse3 --no-enable-sse4-1 --no-enable-sse4-2 --no-enable-avx --no-enable-avx2"
)


class Fleet:
    """A controller in a thread of its own, on ports that stay the same when it is started again."""

    def __init__(self, folder: Path, settings: FleetSettings) -> None:
        self.folder = folder
        self._settings = settings
        self.address, self.page = "127.0.0.1:0", "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        started: Future[tuple[str, str]] = Future()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(started),))
        self._thread.start()
        self.address, self.page_url = started.result(60.0)
        self.page = self.page_url.removeprefix("http://").rstrip("/")
        self.client = FleetClient(self.address, operator_token(self.folder))

    async def _serve(self, started: "Future[tuple[str, str]]") -> None:
        self._stopping = asyncio.Event()
        try:
            pages = PageSettings(parse_address(self.page))
            self.server = ControllerServer(self.folder, self.address, settings=self._settings, pages=pages)
            started.set_result((await self.server.start(), self.server.pages_address))
        except BaseException as error:
            started.set_exception(error)
            raise
        await self._stopping.wait()
        await self.server.stop()

    def stop(self) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(60.0)
        self._loop.close()

    def link(self, device: str = "phone") -> str:
        """A page's link for a browser that is no phone."""
        return f"{self.client.create_join_token(device_id=device, page=True).page_url}&stand-in=chromium"

    def ask(
        self,
        folder: Path,
        name: str,
        *,
        plan: Plan = QUICK,
        anchored: bool = False,
        content: bytes = b"",
        silence_s: float = 60.0,
    ) -> str:
        """Uploads a network with its weights beside it, and asks for its measurement on a page.

        Args:
            anchored: Beside itself.
            content: Of the network's file instead.
        """
        found = space("nas-bench-macro")
        graph = found.graph(found.parse("22222222"))
        model = emit_onnx(graph, WeightPool(folder), external=True, key=name)
        contents: dict[str, bytes | Path] = {"net.onnx": content or model.model_bytes}
        contents |= {one.name: one.path for one in model.weight_files}
        stored = {path: self.client.put_artifact(content) for path, content in contents.items()}
        files = tuple(ModelFile(path, one.sha256, one.size_bytes) for path, one in stored.items())
        request = MeasurementRequest(
            name, files, "net.onnx", "net.onnx" if anchored else "", plan, Selector(kind="page"),
            limits=Limits(silence_s=silence_s),
        )  # fmt: skip
        return self.client.create_measurement(request).name

    def done(self, name: str, wait_s: float = 120.0) -> Any:
        records = self.client.wait_any([name], wait_s)
        assert records, self.client.get_measurement(name)
        return records[0]


class Browser:
    """Headless Chromium, told what to do through its debugging port."""

    def __init__(self, profile: Path, *, simd: bool = True) -> None:
        self._profile = profile
        self._options = [] if simd else [_NO_SIMD]
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, url: str) -> None:
        (self._profile / "DevToolsActivePort").unlink(missing_ok=True)
        command = [
            str(shutil.which("chromium")), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={self._profile}",
            *self._options, url,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def kill(self) -> None:
        """As the system kills it: with everything it started, and without a last word."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page."""
        return asyncio.run(self._evaluate(script))

    async def _evaluate(self, script: str) -> Any:
        import aiohttp

        port = (self._profile / "DevToolsActivePort").read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"]) as socket:
                await socket.send_json(
                    {
                        "id": 1,
                        "method": "Runtime.evaluate",
                        "params": {"expression": script, "returnByValue": True},
                    }
                )
                reply = await socket.receive_json(timeout=60.0)
        return reply["result"]["result"].get("value")

    def says(self, script: str = "document.getElementById('state').textContent") -> str:
        """What the page shows; empty while it is not there yet."""
        try:
            return str(self.evaluate(script))
        except (OSError, IndexError, KeyError):
            return ""

    def works_on(self, name: str, phase: str = "measuring") -> Callable[[], bool]:
        """Whether the page shows that it has that job, in that phase; to be waited for."""
        shown = f"{name.removeprefix('measurements/')}: {phase}"
        return lambda: self.says("document.getElementById('job').textContent") == shown


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page without scripts, for tests that need no browser."""
    folder = tmp_path / "page"
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("<p>a page</p>")
    (folder / "site" / "secret.txt").write_text("not listed")
    files = {"index.html": "text/html; charset=utf-8"}
    (folder / "files.json").write_text(
        json.dumps({"protocol": 1, "runtimes": {}, "files": files, "sources": {}})
    )
    monkeypatch.setenv("FLEETNAS_PAGE", str(folder))
    return folder


@pytest.fixture
def fleet(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[Fleet]:
    pytest.importorskip("aiohttp", reason="the package aiohttp is not installed")
    found = Fleet(tmp_path / "fleet", FleetSettings(heartbeat_s=0.5, lease_s=4.0, retry_base_s=0.2))
    yield found
    found.stop()


@pytest.fixture
def browser(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[Callable[..., Browser]]:
    """Makes browsers, each with a profile of its own."""
    need(shutil.which("chromium"), "there is no chromium here: apt-get install chromium")
    need((BUILT / "files.json").is_file(), "the page is not built: python agents/page/build.py")
    made: list[Browser] = []

    def make(*, simd: bool = True, profile: str = "") -> Browser:
        folder = tmp_path / (profile or f"profile{len(made)}")
        folder.mkdir(exist_ok=True)
        made.append(Browser(folder, simd=simd))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: Callable[[object, str], None]) -> Any:
    """Has the fleet, which must not have been started yet, serve the built page with something done to it."""
    need((BUILT / "files.json").is_file(), "the page is not built: python agents/page/build.py")

    def alter(*, cut: str = "", **preludes: str) -> None:
        """Args:
        cut: A file that ends in its middle.
        preludes: What the scripts of these names run first.
        """
        folder = tmp_path / "altered"
        shutil.copytree(BUILT / "site", folder / "site", ignore=shutil.ignore_patterns("*.gz"))
        shutil.copy(BUILT / "files.json", folder)
        for name, prelude in preludes.items():
            script = folder / "site" / f"{name}.js"
            script.write_text(f"{{{prelude}}}\n{script.read_text()}")
        if cut:
            content = (folder / "site" / cut).read_bytes()
            (folder / "site" / cut).write_bytes(content[: len(content) // 2])
        monkeypatch.setenv("FLEETNAS_PAGE", str(folder))

    return alter


@pytest.fixture
def plans() -> Sequence[Plan]:
    """A quick one, and one that lasts until something happens."""
    return QUICK, LONG


@pytest.fixture
def as_page(fleet: Fleet) -> Callable[[Callable[..., Awaitable[None]]], None]:
    """Runs a page's part."""
    aiohttp = pytest.importorskip("aiohttp", reason="the package aiohttp is not installed")
    from tests.stand_ins.pages.fake_page import FakePage

    def run(part: Callable[[FakePage], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with aiohttp.ClientSession() as session:
                await part(FakePage(fleet, session))

        asyncio.run(whole())

    return run
