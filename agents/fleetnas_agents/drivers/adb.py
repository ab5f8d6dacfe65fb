"""Android phones."""

__all__ = ["AndroidProfile", "PhoneFinder"]

import re
from collections.abc import Callable, Mapping

from fleetnas_agents.drivers.runner_file import runner_of
from fleetnas_agents.shells.adb import AdbShell, open_adb
from fleetnas_agents.shells.shell import Shell

_ASK_S = 20.0
_BATTERY = {"level": "battery_percent", "temperature": "battery_decicelsius", "status": "battery_status"}
_BATTERY_STATES = {"2": "charging", "3": "discharging", "4": "not charging", "5": "full"}


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
        command = (
            "dumpsys battery 2>/dev/null; dumpsys power 2>/dev/null | grep -m 1 mWakefulness=; "
            "dumpsys thermalservice 2>/dev/null | grep -m 1 -i 'thermal status'"
        )
        text = shell.run(command, timeout_s=_ASK_S).text
        found = dict(re.findall(r"^\s*([A-Za-z ]+?)\s*[:=]\s*(\S+)\s*$", text, re.MULTILINE))
        facts = {ours: found[theirs] for theirs, ours in _BATTERY.items() if theirs in found}
        if "battery_status" in facts:
            facts["battery_status"] = _BATTERY_STATES.get(facts["battery_status"], facts["battery_status"])
        if "mWakefulness" in found:
            facts["wakefulness"] = found["mWakefulness"].lower()
        if "Thermal Status" in found:
            facts["thermal_status"] = found["Thermal Status"]
        return facts
