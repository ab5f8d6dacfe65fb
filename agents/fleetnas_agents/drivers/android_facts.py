"""What Android's services tell around a measurement: a command, and the facts in its answer. Pure."""

__all__ = ["android_command", "android_facts", "battery_energy"]

import math
import re
from collections.abc import Mapping

from fleetnas_agents.drivers.sysfs_facts import sysfs_command, sysfs_facts
from fleetnas_agents.evidence import NOT_AVAILABLE, moved_devices

_BATTERY = {
    "level": "battery_percent",
    "temperature": "battery_decicelsius",
    "status": "battery_status",
    "voltage": "battery_voltage_mv",
    "Charge counter": "battery_charge_uah",
}
_BATTERY_STATES = {"2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
_PLUGS = ("AC", "USB", "Wireless", "Dock")
# Of android.os.Temperature; the cores' and the back's are what slows a phone down.
_TEMPERATURES = {"0": "cpu_celsius", "3": "skin_celsius"}
_NAMES = (
    *_BATTERY.values(), "battery_plugged", "battery_current_ua", "wakefulness", "thermal_status",
    *_TEMPERATURES.values(),
)  # fmt: skip


def android_command(root: str = "") -> str:
    """A line of shell; ``root``: where ``proc`` and ``sys`` are."""
    return (
        "echo '== battery'; dumpsys battery 2>&1; echo '== power'; dumpsys power 2>&1 | grep -m 1 mWakefulness=; "
        "echo '== thermal'; dumpsys thermalservice 2>&1 | head -n 300; echo '== current'; "
        f"cat {root}/sys/class/power_supply/battery/current_now 2>/dev/null; echo '== kernel'; {sysfs_command(root)}"
    )


def android_facts(text: str) -> dict[str, str]:
    """Facts by name, each ``NOT_AVAILABLE`` where this phone does not tell.

    Services differ: Android 9 has no ``thermalservice``, some makers leave out the charge counter, the kernel's files
    are often kept from a shell.
    """
    parts = dict(re.findall(r"^== (\w+)\n(.*?)(?=^== |\Z)", text.replace("\r\n", "\n"), re.M | re.S))
    facts = dict.fromkeys(_NAMES, NOT_AVAILABLE)
    facts |= sysfs_facts(parts.get("kernel", ""))
    facts |= _battery(parts.get("battery", ""))
    facts |= _thermal(parts.get("thermal", ""))
    awake = re.search(r"mWakefulness=(\w+)", parts.get("power", ""))
    if awake:
        facts["wakefulness"] = awake[1].lower()
    if re.fullmatch(r"-?\d+", parts.get("current", "").strip()):
        facts["battery_current_ua"] = parts["current"].strip()
    return facts


def battery_energy(before: Mapping[str, str], after: Mapping[str, str], run_count: int) -> dict[str, str]:
    """Joules of one inference from the battery's charge counter.

    Everything that the phone does meanwhile is in it, the loading of the network too. The resolution is the largest
    step that both readings of the counter are multiples of, as energy of one run.

    Args:
        run_count: Inferences between the two, of one network only; 0 when others ran as well.
    """

    def nothing(reason: str) -> dict[str, str]:
        return {"energy_j_per_run": f"{NOT_AVAILABLE}: {reason}"}

    names = ("battery_charge_uah", "battery_voltage_mv")
    readings = [facts.get(name, "") for name in names for facts in (before, after)]
    if not all(re.fullmatch(r"\d+", one) for one in readings):
        return nothing("no battery with a charge counter")
    charge_before, charge_after, volts_before, volts_after = map(int, readings)
    if before.get("battery_status") != "discharging" or charge_after > charge_before:
        return nothing("the battery is charging")
    if run_count == 0:
        return nothing("another network ran as well")
    if charge_after == charge_before:
        return nothing("the charge counter did not move")
    # 1 uAh at 1 mV is 3.6 uJ.
    joules_per_uah = 3.6e-6 * (volts_before + volts_after) / 2.0
    step_uah = math.gcd(charge_before, charge_after)
    return {
        "energy_j_per_run": f"{(charge_before - charge_after) * joules_per_uah / run_count:.6g}",
        "energy_resolution_j": f"{step_uah * joules_per_uah / run_count:.6g}",
        "energy_run_count": str(run_count),
        "energy_source": "battery charge counter",
    }


def _battery(text: str) -> dict[str, str]:
    found = dict(re.findall(r"^\s*([A-Za-z ]+?): (\S+)\s*$", text, re.M))
    facts = {ours: found[theirs] for theirs, ours in _BATTERY.items() if theirs in found}
    if "battery_status" in facts:
        facts["battery_status"] = _BATTERY_STATES.get(facts["battery_status"], facts["battery_status"])
    plugs = [one.lower() for one in _PLUGS if found.get(f"{one} powered") == "true"]
    if any(f"{one} powered" in found for one in _PLUGS):
        facts["battery_plugged"] = ",".join(plugs) or "no"
    return facts


def _thermal(text: str) -> dict[str, str]:
    facts = {}
    status = re.search(r"^\s*Thermal Status: (\d+)", text, re.M)
    if status:
        facts["thermal_status"] = status[1]
    # Temperatures come twice, cached from the last change and read anew.
    latest = text.partition("Current temperatures from HAL")[2] or text
    found: dict[str, list[float]] = {}
    for value, kind in re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=(\d+),", latest):
        found.setdefault(kind, []).append(float(value))
    facts |= {name: f"{max(found[kind]):g}" for kind, name in _TEMPERATURES.items() if kind in found}
    cooling = re.findall(r"CoolingDevice\{mValue=(\d+), mType=\d+, mName=([^,}]+)", text)
    if cooling:
        facts["cooling_devices"] = moved_devices([(name, int(state)) for state, name in cooling])
    return facts
