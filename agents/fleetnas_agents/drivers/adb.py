"""Android phones."""

__all__ = ["AndroidProfile", "PhoneFinder"]

import re
from collections.abc import Callable, Mapping

from fleetnas_agents.drivers.android_facts import android_command, android_facts
from fleetnas_agents.drivers.runner_file import runner_of
from fleetnas_agents.shells.adb import AdbShell, open_adb
from fleetnas_agents.shells.shell import Shell

_ASK_S = 20.0


class PhoneFinder:
    """An ``Opener`` that stays with the phone it found first: another one plugged in later is another device.

    Args:
        serial, connect, wait_s: See ``open_adb``.
    """

    def __init__(self, serial: str = "", *, connect: str = "", wait_s: float = 20.0) -> None:
        self._serial = serial
        self._connect = connect
        self._wait_s = wait_s

    def __call__(self, progress: Callable[[], None]) -> AdbShell:
        shell = open_adb(self._serial, connect=self._connect, wait_s=self._wait_s, progress=progress)
        self._serial = shell.serial
        return shell


class AndroidProfile:
    """A ``Profile``."""

    kind = "adb"

    def identify(self, shell: Shell) -> tuple[str, str]:
        names = ("ro.product.manufacturer", "ro.product.model", "ro.board.platform", "ro.product.cpu.abi")
        command = "; ".join(f"echo {name}=$(getprop {name})" for name in names)
        properties = dict(
            re.findall(r"^([\w.]+)=(.*?)\s*$", shell.run(command, timeout_s=_ASK_S).text, re.MULTILINE)
        )
        maker, model, platform = (properties.get(name, "") for name in names[:3])
        # Some models bear their maker's name already; one model is sold with several processors.
        full = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
        text = f"{full} ({platform})" if platform else full
        return text.strip() or "android", runner_of(properties.get(names[3], ""))

    def facts(self, shell: Shell) -> Mapping[str, str]:
        return android_facts(shell.run(android_command(), timeout_s=_ASK_S).text)
