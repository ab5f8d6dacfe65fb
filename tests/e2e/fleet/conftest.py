"""A real controller on a loopback port, real agents as processes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import DeviceState, MeasurementRecord, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.operator import operator_token
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.server import ControllerServer

# Short, so that what a lab waits minutes for is over in a second here.
FAST = FleetSettings(heartbeat_s=0.2, lease_s=1.0, retry_base_s=0.1)
# What the replay driver looks for in a model file: the architecture's key in ONNX metadata.
REPLAYED = b"a model architecture\x12\x0atiny/8/1,2"
WAIT_S = 20.0


class Served:
    """A controller in a thread of its own."""

    def __init__(self, data_dir: Path, **options: Any) -> None:
        self.data_dir = data_dir
        self._options = options
        self._loop = asyncio.new_event_loop()
        started: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        self.address = started.result(WAIT_S)
        self.client = FleetClient(self.address, operator_token(data_dir))

    def _run(self, started: "Future[str]") -> None:
        async def serve() -> None:
            self._stopping = asyncio.Event()
            server = ControllerServer(self.data_dir, "127.0.0.1:0", settings=FAST, **self._options)
            started.set_result(await server.start())
            await self._stopping.wait()
            await server.stop()

        self._loop.run_until_complete(serve())
        self._loop.close()

    def stop(self) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(WAIT_S)


class Processes:
    """Agents and controllers as a user starts them; all are killed at the end of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        (folder / "table.csv").write_text("arch,latency_ms\n12,3.5\n")

    def agent(
        self, address: str, token: str, *, pause_s: float = 0.0, state: str = "agent", device_id: str = ""
    ) -> "subprocess.Popen[str]":
        options = [
            "--driver",
            "replay",
            "--table",
            str(self._folder / "table.csv"),
            "--pause-s",
            str(pause_s),
            "--trace",
            str(self._folder / "trace"),
            "--id",
            device_id,
        ]
        state_dir = str(self._folder / state)
        command = ["fleetnas_agents.cli", "--controller", address, "--state-dir", state_dir, *options]
        return self.start(command, FLEETNAS_TOKEN=token)

    def traced(self, event: str) -> int:
        """How often the agents noted ``event``."""
        trace = self._folder / "trace"
        lines = trace.read_text().splitlines() if trace.exists() else []
        return sum(json.loads(line)["event"] == event for line in lines)

    def start(self, command: list[str], **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    controller = Served(tmp_path / "fleet")
    yield controller
    controller.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts controllers with options of ``ControllerServer``, all on one folder, one after the other."""
    started: list[Served] = []

    def start(**options: Any) -> Served:
        for one in started:
            one.stop()
        started[:] = [Served(tmp_path / "fleet", **options)]
        return started[0]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Served]:
    """A controller that gives a silent peer half a second."""
    controller = Served(tmp_path / "fleet", patience_s=0.5)
    yield controller
    controller.stop()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.end()


@pytest.fixture
def measure() -> Callable[..., MeasurementRecord]:
    """Uploads a replayable network and asks for its measurement."""

    def create(client: FleetClient, measurement_id: str = "m", device: str = "") -> MeasurementRecord:
        artifact = client.put_artifact(REPLAYED)
        files = (ModelFile("net.onnx", artifact.sha256, artifact.size_bytes),)
        return client.create_measurement(
            MeasurementRequest(measurement_id, files, "net.onnx", selector=Selector(device=device))
        )

    return create


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Waits for something to become true, for a bounded time; returns what it became."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError("it did not happen in time")

    return wait


@pytest.fixture
def online(until: Callable[..., Any]) -> Callable[..., Any]:
    def wait(client: FleetClient, count: int = 1) -> Any:
        return until(
            lambda: len([one for one in client.list_devices() if one.state is DeviceState.ONLINE]) >= count
        )

    return wait
