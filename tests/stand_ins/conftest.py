"""Stand-ins for devices: the real clients talk their real protocols to them.

A piece that is missing (an sshd, the built runner) skips the test on a user's machine and fails it under CI=true.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from tests.pieces import need

from fleetnas_agents.drivers.shell import ShellDriver, ShellOptions
from fleetnas_agents.jobs import Job, Lease, MeasureError, ModelFile
from fleetnas_agents.shells.shell import Opener
from fleetnas_controller.client import FleetClient
from fleetnas_controller.operator import operator_token
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.server import ControllerServer
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.builder import GraphBuilder
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.int8_ranges import input_ranges
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.weights import WeightPool

HERE = Path(__file__).parent
QUICK = Plan(
    min_duration_s=0.02,
    max_duration_s=1.0,
    min_run_count=10,
    max_run_count=10**6,
    min_round_count=2,
    round_duration_s=0.01,
    warmup_min_s=0.01,
    warmup_cap_s=0.1,
)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"stand_in_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Cable = _load("cable").Cable
_devices = _load("devices")
script, sshd_path, until = _devices.script, _devices.sshd_path, _devices.until


class StandIn(Protocol):
    """A device's place, its cable, and what the agent's command line calls it."""

    cable: Any
    home: Path

    @property
    def folder(self) -> Path: ...
    def opener(self, wait_s: float = 5.0) -> Opener: ...
    def profile(self) -> Any: ...
    def agent_options(self) -> list[str]: ...
    def close(self) -> None: ...


@pytest.fixture(scope="session")
def _adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An adb server of the tests' own, which never sees the user's phones or keys."""
    adbutils = pytest.importorskip("adbutils", reason="the package adbutils is not installed")
    home = tmp_path_factory.mktemp("adb")
    environment = {"ANDROID_ADB_SERVER_PORT": str(_devices.free_port()), "HOME": str(home), "ADB_MDNS": "0"}
    adb = adbutils.adb_path()
    need(Path(adb).exists() or shutil.which(adb), "there is no adb here")
    start = subprocess.run(
        [adb, "start-server"], env=os.environ | environment, capture_output=True, check=False
    )
    need(
        start.returncode == 0,
        f"the adb server does not start: {start.stderr.decode(errors='replace')[-200:]}",
    )
    yield environment
    subprocess.run([adb, "kill-server"], env=os.environ | environment, capture_output=True, check=False)


@pytest.fixture
def make_phone(
    _adb_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    for name, value in _adb_server.items():
        monkeypatch.setenv(name, value)
    made: list[Any] = []

    def make(machine: str = "x86_64", *, auth: bool = False) -> Any:
        made.append(_devices.Phone(Cable, tmp_path / f"phone{len(made)}", machine=machine, auth=auth))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_board(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    pytest.importorskip("paramiko", reason="the package paramiko is not installed")
    need(sshd_path() and shutil.which("ssh-keygen"), "there is no sshd here: apt-get install openssh-server")
    made: list[Any] = []

    def make(machine: str = "x86_64") -> Any:
        made.append(_devices.Board(Cable, tmp_path / f"board{len(made)}", machine=machine))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_device(request: pytest.FixtureRequest) -> Callable[..., StandIn]:
    """By kind; only the pieces of that kind are needed."""

    def make(kind: str, machine: str = "x86_64") -> StandIn:
        made: StandIn = request.getfixturevalue(f"make_{kind}")(machine)
        return made

    return make


@pytest.fixture(params=["phone", "board"])
def device(request: pytest.FixtureRequest, make_device: Callable[..., StandIn]) -> StandIn:
    return make_device(request.param)


@pytest.fixture
def make_driver() -> Callable[..., ShellDriver]:
    def make(
        device: StandIn, runner: Path, *, wait_s: float = 5.0, folder: str = "", owner: str = "agent"
    ) -> ShellDriver:
        place = folder or str(device.folder)
        options = ShellOptions(folder=place, runner=runner, cores=(), stand_in="test", owner=owner)
        return ShellDriver(device.opener(wait_s), device.profile(), options)

    return make


@pytest.fixture
def impatient_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that says nothing is given up sooner, for tests in which it is dead and the wait shows nothing."""
    monkeypatch.setattr("fleetnas_agents.shells.adb._CONNECT_S", 3.0)
    monkeypatch.setattr("fleetnas_agents.drivers.shell._KILL_S", 2.0)


def runners_folder() -> Path:
    return Path(os.environ.get("FLEETNAS_RUNNERS") or HERE.parents[1] / "build" / "runner")


@pytest.fixture
def built_runner() -> Callable[..., Path]:
    """The real runner's file for a target."""

    def find(target: str = "x86_64") -> Path:
        path = runners_folder() / target / "fleetnas-runner"
        need(path.is_file(), f"the native runner is not built: make runner TARGET={target}")
        return path

    return find


@pytest.fixture
def fake_runner(tmp_path: Path) -> Callable[[str], Path]:
    """A shell script in the runner's place."""

    def make(body: str) -> Path:
        version = '{"protocol":3,"ncnn":"fake","target":"x86_64"}'
        return script(
            tmp_path / "runner.sh",
            f"[ \"$1\" = --version ] && echo '{version}' && exit 0\necho started $$\n{body}",
        )

    return make


def measured(driver: Any, job: Job, folder: Path) -> Any:
    """What came of one job, with the driver closed after it."""

    async def run() -> Any:
        try:
            return await driver.measure(job, folder)
        finally:
            await driver.close()

    return asyncio.run(run())


def small_graph(width: int = 8, side_px: int = 16) -> Graph:
    builder = GraphBuilder(side_px)
    with builder.block(Operator(OperatorKind.STEM, 3, width, side_px), "stem"):
        x = builder.conv("conv", builder.input, width, kernel_px=3, stride=2, activation=Activation.RELU6)
        builder.linear("head", builder.global_average_pool("pool", x), 10)
    return builder.build()


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., tuple[Job, Path]]:
    """A job and the folder where its files lie, as an agent hands it to its driver."""

    def make(
        graph: Graph | None = None, *, anchor: bool = True, plan: Plan = QUICK, silence_s: float = 10.0,
        total_s: float = 60.0, change: Callable[[Path], None] = lambda folder: None, int8: bool = False,
        others: Sequence[Graph] = (),
    ) -> tuple[Job, Path]:  # fmt: skip
        folder = tmp_path / "job"
        pool = WeightPool(folder)
        networks = {"net": graph or small_graph()} | ({"anchor": small_graph(4)} if anchor else {})
        companions = {f"net-{number}": one for number, one in enumerate(others, 2)}
        networks |= companions
        folder.mkdir(exist_ok=True)
        for name, one in networks.items():
            ranges = input_ranges(one, pool, [np.ones(one.input_shape, np.float32)]) if int8 else None
            model = emit_ncnn(one, pool, key=name, external=True, input_ranges=ranges)
            (folder / f"{name}.param").write_text(model.param_text)
            (folder / f"{name}.weights").write_text(model.weights_text)
        change(folder)
        files = tuple(
            ModelFile(one.name, hashlib.sha256(one.read_bytes()).hexdigest(), one.stat().st_size)
            for one in sorted(folder.iterdir())
        )
        lease = Lease("measurements/m", 1)
        job = Job(lease, files, "net.param", "anchor.param" if anchor else "", plan, silence_s, total_s)
        return replace(job, companion_files=tuple(f"{name}.param" for name in companions)), folder

    return make


@pytest.fixture(name="small_graph")
def _small_graph() -> Callable[..., Graph]:
    return small_graph


@pytest.fixture
def processes_of() -> Callable[[StandIn], list[str]]:
    """Command lines of what runs out of a device's folder."""

    def find(device: StandIn) -> list[str]:
        mark = f"{device.folder}/cache/"
        lines = subprocess.run(
            ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return [line for line in lines if mark in line and not line.startswith("ps ")]

    return find


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], Any], str], Any]:
    return until


@pytest.fixture
def emulated(tmp_path: Path, built_runner: Callable[..., Path]) -> Callable[[str, str], Path]:
    """An ARM runner under QEMU as the oldest CPU it claims: what it computes counts, not how fast."""

    def make(target: str, cpu: str) -> Path:
        emulator = shutil.which({"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static"}[target])
        need(emulator, "there is no QEMU user emulation here: apt-get install qemu-user-static")
        return script(tmp_path / f"{target}.sh", f'exec {emulator} -cpu {cpu} {built_runner(target)} "$@"')

    return make


@pytest.fixture
def fault_of() -> Callable[[Any, Job, Path], MeasureError]:
    """The fault that a job ends with, which must be one line."""

    def fault(driver: Any, job: Job, folder: Path) -> MeasureError:
        with pytest.raises(MeasureError) as caught:
            measured(driver, job, folder)
        assert "\n" not in str(caught.value)
        return caught.value

    return fault


@pytest.fixture
def left_in() -> Callable[[StandIn], list[str]]:
    """What a job has left on the device: anything but whole files in the cache."""

    def find(device: StandIn) -> list[str]:
        jobs = [one.name for one in (device.folder / "jobs").glob("*")]  # no folder: it was never touched
        return jobs + [one.name for one in (device.folder / "cache").glob("*.part")]

    return find


@pytest.fixture
def is_measuring(processes_of: Callable[[StandIn], list[str]]) -> Callable[[StandIn], bool]:
    """Whether a runner is at a job on the device."""

    def look(device: StandIn) -> bool:
        return any("--exit-with-stdin" in line for line in processes_of(device))

    return look


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FleetClient]:
    """Of a controller that serves ``tmp_path/fleet`` from a thread of its own."""
    loop = asyncio.new_event_loop()
    started: Future[str] = Future()
    stopping = asyncio.Event()

    async def serve() -> None:
        server = ControllerServer(tmp_path / "fleet", "127.0.0.1:0", settings=FleetSettings(retry_base_s=0.2))
        started.set_result(await server.start())
        await stopping.wait()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    address = started.result(60.0)
    found = FleetClient(address, operator_token(tmp_path / "fleet"))
    found.address = address  # type: ignore[attr-defined]
    yield found
    found.close()
    loop.call_soon_threadsafe(stopping.set)
    thread.join(60.0)
    loop.close()


@pytest.fixture
def join(
    client: FleetClient, tmp_path: Path, built_runner: Callable[..., Path]
) -> Iterator[Callable[..., Any]]:
    """Starts ``fleetnas-agent`` for a device, as a user does."""
    agents: list[subprocess.Popen[bytes]] = []

    def start(device: Any, name: str = "d") -> subprocess.Popen[bytes]:
        token = client.create_join_token(device_id=name, use_count=1).secret
        options = [
            *device.agent_options(), "--device-folder", str(device.folder), "--runner", str(built_runner()),
            "--stand-in", "x86_64-double", "--state-dir", str(tmp_path / f"agent-{name}"),
        ]  # fmt: skip
        command = [sys.executable, "-m", "fleetnas_agents.cli", "--controller", client.address, *options]  # type: ignore[attr-defined]
        with (tmp_path / "agent.log").open("ab") as log:
            agents.append(subprocess.Popen(command, env=os.environ | {"FLEETNAS_TOKEN": token}, stderr=log))
        return agents[-1]

    yield start
    for one in agents:
        one.terminate()
        one.wait(30.0)


@pytest.fixture(name="need", scope="session")
def _need() -> Callable[[object, str], None]:
    return need
