"""Linux boards."""

__all__ = ["BoardFinder", "BoardProfile"]

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fleetnas_agents.drivers.runner_file import runner_of
from fleetnas_agents.drivers.sysfs_facts import sysfs_command, sysfs_facts
from fleetnas_agents.evidence import NOT_AVAILABLE
from fleetnas_agents.shells.shell import LinkError, Shell
from fleetnas_agents.shells.ssh import SshAddress, SshShell, open_ssh

_ASK_S = 20.0
_POLL_S = 1.0
# Device trees name the system on a chip last among what a board is compatible with.
_CHIPS = {"rk3288": "rk3288", "rk3399": "rk3399", "bcm2711": "Raspberry Pi 4"}


class BoardFinder:
    """An ``Opener`` that tries again while the board boots.

    Args:
        key_file, host_key, known_hosts: See ``open_ssh``.
        wait_s: How long.
    """

    def __init__(
        self,
        address: SshAddress,
        *,
        key_file: Path | None = None,
        host_key: str = "",
        known_hosts: Path | None = None,
        wait_s: float = 20.0,
    ) -> None:
        self._address = address
        self._key_file = key_file
        self._host_key = host_key
        self._known_hosts = known_hosts
        self._wait_s = wait_s

    def __call__(self, progress: Callable[[], None]) -> SshShell:
        deadline_s = time.monotonic() + self._wait_s
        while True:
            try:
                return open_ssh(
                    self._address,
                    key_file=self._key_file,
                    host_key=self._host_key,
                    known_hosts=self._known_hosts,
                )
            except LinkError:
                if time.monotonic() >= deadline_s:
                    raise
            progress()
            time.sleep(_POLL_S)


class BoardProfile:
    """A ``Profile``: known boards by their chip, others by the name they give themselves."""

    kind = "ssh"

    def identify(self, shell: Shell) -> tuple[str, str]:
        command = (
            "echo machine=$(uname -m); echo chip=$(tr '\\0' ' ' < /proc/device-tree/compatible 2>/dev/null); "
            "echo model=$(tr -d '\\0' < /proc/device-tree/model 2>/dev/null); "
            "echo cpu=$(grep -m 1 -E '^(Hardware|model name)' /proc/cpuinfo | cut -d: -f2)"
        )
        found = dict(re.findall(r"^(\w+)=(.*?)\s*$", shell.run(command, timeout_s=_ASK_S).text, re.MULTILINE))
        chip = next((name for part, name in _CHIPS.items() if part in found.get("chip", "")), "")
        model = chip or found.get("model") or found.get("cpu") or "linux board"
        return model, runner_of(found.get("machine", ""))

    def facts(self, shell: Shell) -> Mapping[str, str]:
        # Frequencies, governor and temperatures are the runner's own; a Raspberry Pi also tells of low voltage.
        text = shell.run(f"vcgencmd get_throttled 2>/dev/null; {sysfs_command()}", timeout_s=_ASK_S).text
        found = re.search(r"throttled=(0x[0-9a-fA-F]+)", text)
        return sysfs_facts(text) | {"throttled_flags": found[1] if found else NOT_AVAILABLE}
