"""Where cpufreq's files are: on this machine, or on a device with a shell."""

__all__ = ["HostClockFiles", "ShellClockFiles"]

import re
import shlex
from contextlib import closing
from pathlib import Path

from fleetnas_agents.clocks.lock import CLOCK_NAMES
from fleetnas_agents.shells.shell import Opener, Shell
from fleetnas_search_spaces.errors import FailedPreconditionError

_FOLDER = "sys/devices/system/cpu/cpufreq"
_ASK_S = 20.0
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
        self._folder = f"{root}/{_FOLDER}"
        self._as_root = ""

    def read(self) -> dict[str, str]:
        command = (
            f"for p in {self._folder}/policy*; do for n in {' '.join(CLOCK_NAMES)}; do "
            'echo "clock ${p##*/}/$n $(cat $p/$n 2>/dev/null)"; done; done'
        )
        with closing(self._open_shell(_nothing)) as shell:
            text = shell.run(command, timeout_s=_ASK_S).text
        return dict(re.findall(r"^clock (policy\d+/\w+) (\S+)\s*$", text, re.MULTILINE))

    def write(self, path: str, value: str) -> bool:
        with closing(self._open_shell(_nothing)) as shell:
            self._as_root = self._as_root or _root_of(shell)
            line = f"echo {shlex.quote(value)} > {self._folder}/{path}"
            return shell.run(f"{self._as_root} {shlex.quote(line)}", timeout_s=_ASK_S).exit_code == 0


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
