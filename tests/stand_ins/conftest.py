"""Stand-ins for devices: the real clients talk their real protocols to them.

A piece that is missing (an sshd, the built runner) skips the test on a user's machine and fails it under CI=true.
"""

import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from fleetnas_agents.drivers.shell import ShellDriver, ShellOptions
from fleetnas_agents.jobs import Job, Lease, ModelFile
from fleetnas_agents.shells.shell import Opener
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.builder import GraphBuilder
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.weights import WeightPool

HERE = Path(__file__).parent
WAIT_S = 20.0
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


def need(found: object, what: str) -> None:
    """Skips without ``found``; under CI=true that is a failure."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI installs it")
    pytest.skip(what)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"stand_in_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Cable = _load("cable").Cable


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"it did not happen in time: {what}")


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


class Phone:
    """An adb daemon double, reached through the real adb server."""

    def __init__(self, home: Path, *, machine: str, auth: bool = False) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        (home / "control").mkdir()
        script(
            home / "bin" / "getprop",
            f"""case $1 in
ro.product.manufacturer) echo FleetNAS;; ro.product.model) echo Double;; ro.board.platform) echo paper;;
ro.product.cpu.abi) echo {machine};; esac""",
        )
        script(
            home / "bin" / "dumpsys",
            """case $1 in battery) echo "Current Battery Service state:"
echo "  AC powered: false"; echo "  USB powered: true"; echo "  level: 81"; echo "  temperature: 291"
echo "  status: 2";;
power) echo "  mWakefulness=Awake";; thermalservice) echo "Thermal Status: 0";; esac""",
        )
        options = ["--auth"] if auth else []
        command = [sys.executable, str(HERE / "adbd.py"), str(home), str(home / "port"), *options]
        self._process = subprocess.Popen(command)
        until((home / "port").exists, "the daemon listens")
        self.cable = Cable(int((home / "port").read_text()))

    @property
    def folder(self) -> Path:
        return self.home / "device"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.cable.port}"

    def opener(self, wait_s: float = 5.0) -> Opener:
        from fleetnas_agents.drivers.adb import PhoneFinder

        return PhoneFinder(connect=self.address, wait_s=wait_s)

    def profile(self) -> Any:
        from fleetnas_agents.drivers.adb import AndroidProfile

        return AndroidProfile()

    def agent_options(self) -> list[str]:
        return ["--driver", "adb", "--connect", self.address]

    def close(self) -> None:
        self.cable.close()
        self._process.kill()
        self._process.wait()


class Board:
    """A real sshd on a high loopback port, with keys of its own."""

    def __init__(self, home: Path, *, machine: str) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        script(home / "bin" / "uname", f"echo {machine}")
        for name in ("host_key", "user_key", "other_key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(home / name)]
            subprocess.run(make, check=True)
        shutil.copy(home / "user_key.pub", home / "authorized_keys")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.cable = Cable(self._start())
        key = " ".join((home / "host_key.pub").read_text().split()[:2])
        (home / "known_hosts").write_text(f"[127.0.0.1]:{self.cable.port} {key}\n")

    def _start(self) -> int:
        port = _free_port()
        (self.home / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.home}/host_key\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {self.home}/authorized_keys\nUsePAM no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\nPermitRootLogin prohibit-password\n"
            # SHLVL: else bash reads this machine's own .bashrc, whatever that takes.
            f"SetEnv SHLVL=2 PATH={self.home}/bin:/usr/local/bin:/usr/bin:/bin\n"
        )
        command = [str(sshd_path()), "-D", "-e", "-f", str(self.home / "sshd_config")]
        with (self.home / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        until(lambda: _answers(port), "the sshd listens")
        return port

    @property
    def folder(self) -> Path:
        return self.home / "device"

    @property
    def address(self) -> str:
        return f"{os.environ.get('USER') or 'root'}@127.0.0.1:{self.cable.port}"

    def opener(self, wait_s: float = 5.0) -> Opener:
        from fleetnas_agents.drivers.ssh import BoardFinder
        from fleetnas_agents.shells.ssh import parse_ssh_address

        return BoardFinder(
            parse_ssh_address(self.address),
            key_file=self.home / "user_key",
            known_hosts=self.home / "known_hosts",
            wait_s=wait_s,
        )

    def profile(self) -> Any:
        from fleetnas_agents.drivers.ssh import BoardProfile

        return BoardProfile()

    def agent_options(self) -> list[str]:
        files = ["--key", str(self.home / "user_key"), "--known-hosts", str(self.home / "known_hosts")]
        return ["--driver", "ssh", "--ssh", self.address, *files]

    def close(self) -> None:
        self.cable.close()
        self._process.kill()
        self._process.wait()


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def sshd_path() -> str | None:
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def _adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An adb server of the tests' own, which never sees the user's phones or keys."""
    adbutils = pytest.importorskip("adbutils", reason="the package adbutils is not installed")
    home = tmp_path_factory.mktemp("adb")
    environment = {"ANDROID_ADB_SERVER_PORT": str(_free_port()), "HOME": str(home), "ADB_MDNS": "0"}
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
) -> Iterator[Callable[..., Phone]]:
    for name, value in _adb_server.items():
        monkeypatch.setenv(name, value)
    made: list[Phone] = []

    def make(machine: str = "x86_64", *, auth: bool = False) -> Phone:
        made.append(Phone(tmp_path / f"phone{len(made)}", machine=machine, auth=auth))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_board(tmp_path: Path) -> Iterator[Callable[..., Board]]:
    pytest.importorskip("paramiko", reason="the package paramiko is not installed")
    need(sshd_path() and shutil.which("ssh-keygen"), "there is no sshd here: apt-get install openssh-server")
    made: list[Board] = []

    def make(machine: str = "x86_64") -> Board:
        made.append(Board(tmp_path / f"board{len(made)}", machine=machine))
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
    def make(device: StandIn, runner: Path, *, wait_s: float = 5.0, folder: str = "") -> ShellDriver:
        options = ShellOptions(folder=folder or str(device.folder), runner=runner, cores=(), stand_in="test")
        return ShellDriver(device.opener(wait_s), device.profile(), options)

    return make


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
        version = '{"protocol":1,"ncnn":"fake","target":"x86_64"}'
        return script(
            tmp_path / "runner.sh",
            f"[ \"$1\" = --version ] && echo '{version}' && exit 0\necho started $$\n{body}",
        )

    return make


def small_graph(width: int = 8) -> Graph:
    builder = GraphBuilder(16)
    with builder.block(Operator(OperatorKind.STEM, 3, width, 16), "stem"):
        x = builder.conv("conv", builder.input, width, kernel_px=3, stride=2, activation=Activation.RELU6)
        builder.linear("head", builder.global_average_pool("pool", x), 10)
    return builder.build()


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., tuple[Job, Path]]:
    """A job and the folder where its files lie, as an agent hands it to its driver."""

    def make(
        graph: Graph | None = None, *, anchor: bool = True, plan: Plan = QUICK, silence_s: float = 10.0,
        total_s: float = 60.0, change: Callable[[Path], None] = lambda folder: None,
    ) -> tuple[Job, Path]:  # fmt: skip
        folder = tmp_path / "job"
        pool = WeightPool(folder)
        networks = {"net": graph or small_graph()} | ({"anchor": small_graph(4)} if anchor else {})
        folder.mkdir(exist_ok=True)
        for name, one in networks.items():
            model = emit_ncnn(one, pool, key=name, external=True)
            (folder / f"{name}.param").write_text(model.param_text)
            (folder / f"{name}.weights").write_text(model.weights_text)
        change(folder)
        files = tuple(
            ModelFile(one.name, hashlib.sha256(one.read_bytes()).hexdigest(), one.stat().st_size)
            for one in sorted(folder.iterdir())
        )
        lease = Lease("measurements/m", 1)
        return Job(
            lease, files, "net.param", "anchor.param" if anchor else "", plan, silence_s, total_s
        ), folder

    return make


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
