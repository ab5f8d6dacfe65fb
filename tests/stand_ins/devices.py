"""The stand-ins themselves: a phone behind the real adb, a board behind a real sshd."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetnas_agents.shells.shell import Opener

HERE = Path(__file__).parent
WAIT_S = 20.0


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"it did not happen in time: {what}")


class Phone:
    """An adb daemon double, reached through the real adb server."""

    def __init__(self, cable: Callable[[int], Any], home: Path, *, machine: str, auth: bool = False) -> None:
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
        self.options = ["--auth"] if auth else []
        self.start("0")
        self.cable = cable(int((home / "port").read_text()))

    def start(self, port: str = "") -> None:
        """Starts the daemon, at the port it had."""
        port = port or (self.home / "port").read_text()
        (self.home / "port").unlink(missing_ok=True)
        place = [str(self.home), str(self.home / "port"), "--port", port]
        self._process = subprocess.Popen([sys.executable, str(HERE / "adbd.py"), *place, *self.options])
        until((self.home / "port").exists, "the daemon listens")

    def kill(self) -> None:
        """Ends the daemon as a reboot does."""
        self._process.kill()
        self._process.wait()

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
        self.kill()


class Board:
    """A real sshd on a high loopback port, with keys of its own."""

    def __init__(self, cable: Callable[[int], Any], home: Path, *, machine: str) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        script(home / "bin" / "uname", f"echo {machine}")
        for name in ("host_key", "user_key", "other_key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(home / name)]
            subprocess.run(make, check=True)
        shutil.copy(home / "user_key.pub", home / "authorized_keys")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._port = free_port()
        self.start()
        self.cable = cable(self._port)
        key = " ".join((home / "host_key.pub").read_text().split()[:2])
        (home / "known_hosts").write_text(f"[127.0.0.1]:{self.cable.port} {key}\n")

    def start(self) -> None:
        """Starts the sshd, at the port it had."""
        port = self._port
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

    def kill(self) -> None:
        """Ends the sshd and what serves the sessions, and nothing that runs in them."""
        mine = str(self._process.pid)
        listed = subprocess.run(
            ["ps", "-eww", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
        )
        lines = [line.split(None, 2) for line in listed.stdout.splitlines()]
        serving = {mine}
        for _ in range(3):
            serving |= {pid for pid, parent, name in lines if parent in serving and name.startswith("sshd")}
        for pid in serving:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self._process.wait()

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
        self.kill()


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def sshd_path() -> str | None:
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
