"""Where cpufreq's files are: on this machine, or on a device with a shell."""

__all__ = ["HostClockFiles", "ShellClockFiles"]

import re
import shlex
from contextlib import closing
from pathlib import Path

from fleetnas_agents.clocks.lock import CLOCK_NAMES
from fleetnas_agents.shells.shell import Finished, Opener, Shell
from fleetnas_search_spaces.errors import FailedPreconditionError

_FOLDER = "sys/devices/system/cpu/cpufreq"
_ASK_S = 20.0
# Root may write there on every device, and all agents agree on the first that it has: Android's, then a board's.
_PLACES = ("/data/local/tmp", "/run", "/tmp")
# The first that works: the user is root, Android's `su` of two kinds, a board's sudo without a password.
_ROOTS = ("sh -c", "su -c", "su 0 sh -c", "sudo -n sh -c")


class HostClockFiles:
    """``ClockFiles`` of this machine.

    Args:
        root: Where ``sys`` is.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._folder = root / _FOLDER

    def read(self) -> dict[str, str]:
        found = {}
        for path in sorted(self._folder.glob("policy*/*")):
            if path.name in CLOCK_NAMES:
                try:
                    found[f"{path.parent.name}/{path.name}"] = path.read_text(encoding="ascii").strip()
                except (OSError, UnicodeDecodeError):
                    continue  # a core that is switched off
        return found

    def write(self, path: str, value: str) -> bool:
        try:
            (self._folder / path).write_text(f"{value}\n", encoding="ascii")
        except OSError:
            return False
        return True


class ShellClockFiles:
    """``ClockFiles`` of a phone or a board; each call opens a link of its own.

    Args:
        root: Where ``sys`` is on the device.
    """

    def __init__(self, open_shell: Opener, root: str = "") -> None:
        self._open_shell = open_shell
        self._root = root
        self._folder = f"{root}/{_FOLDER}"
        self._as_root = ""
        self._place = ""

    def read(self) -> dict[str, str]:
        command = (
            f"for p in {self._folder}/policy*; do for n in {' '.join(CLOCK_NAMES)}; do "
            'echo "clock ${p##*/}/$n $(cat $p/$n 2>/dev/null)"; done; done'
        )
        with closing(self._open_shell(_nothing)) as shell:
            text = shell.run(command, timeout_s=_ASK_S).text
        return dict(re.findall(r"^clock (policy\d+/\w+) (\S+)\s*$", text, re.MULTILINE))

    def write(self, path: str, value: str) -> bool:
        return self._run_as_root(f"echo {shlex.quote(value)} > {self._folder}/{path}").exit_code == 0

    def kernel(self) -> tuple[str, str]:
        """What names the device, and the run of its kernel; empty where it does not tell."""
        places = " ".join(f"{self._root}{one}" for one in _PLACES)
        command = (
            f"echo device=$(cat {self._root}/etc/machine-id 2>/dev/null || getprop ro.serialno 2>/dev/null); "
            f"echo boot=$(cat {self._root}/proc/sys/kernel/random/boot_id 2>/dev/null); "
            f"for p in {places}; do if [ -d $p ]; then echo place=$p; break; fi; done"
        )
        with closing(self._open_shell(_nothing)) as shell:
            text = shell.run(command, timeout_s=_ASK_S).text
        found = dict(re.findall(r"^(device|boot|place)=([\w./-]+)\s*$", text, re.MULTILINE))
        self._place = found.get("place", f"{self._root}{_PLACES[-1]}")
        return found.get("device", ""), found.get("boot", "")

    def claim_path(self, kernel: tuple[str, str]) -> str:
        """Where the device says who holds its clocks; another run of the kernel has another place.

        Args:
            kernel: From ``kernel``.
        """
        return f"{self._place}/fleetnas-clocks-{kernel[1] or 'boot'}"

    def claim(self, owner: str, kernel: tuple[str, str]) -> str:
        """Claims the clocks unless somebody else did; returns whose they are. Claims on earlier runs are swept out.

        Raises:
            FailedPreconditionError: This user may not.
        """
        path = self.claim_path(kernel)
        # A symbolic link is made with its text or not at all, and never over another.
        others = f'for one in {self._place}/fleetnas-clocks-*; do [ "$one" = {path} ] || rm -f "$one"; done'
        line = f"{others}; ln -s {owner} {path} 2>/dev/null; echo holder=$(readlink {path})"
        text = self._run_as_root(line).text
        found = re.search(r"^holder=(\w+)\s*$", text, re.MULTILINE)
        if found is None:
            raise FailedPreconditionError(
                f"--lock-clocks: '{path}' cannot be made on the device ({text.strip()[:200]}): start without it."
            )
        return found[1]

    def release(self, owner: str, kernel: tuple[str, str]) -> None:
        path = self.claim_path(kernel)
        self._run_as_root(f'[ "$(readlink {path})" != {owner} ] || rm -f {path}')

    def _run_as_root(self, line: str) -> Finished:
        with closing(self._open_shell(_nothing)) as shell:
            self._as_root = self._as_root or _root_of(shell)
            return shell.run(f"{self._as_root} {shlex.quote(line)}", timeout_s=_ASK_S)


def _root_of(shell: Shell) -> str:
    """Raises FailedPreconditionError when no way leads to root."""
    for one in _ROOTS:
        if shell.run(f"{one} 'id -u'", timeout_s=_ASK_S).text.strip() == "0":
            return one
    raise FailedPreconditionError(
        "--lock-clocks needs root on the device (adb: a rooted phone; ssh: root, or sudo without a password): start "
        "without it."
    )


def _nothing() -> None:
    """While a link is opened."""
