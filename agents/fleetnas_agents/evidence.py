"""What can be seen of a Linux host around a measurement. What the platform does not show says so."""

__all__ = [
    "NOT_AVAILABLE",
    "cpu_model",
    "held_back",
    "host_facts",
    "moved_devices",
    "process_memory_kib",
    "reset_peak_memory",
]

import os
import platform
import resource
from collections.abc import Iterable, Sequence
from pathlib import Path

NOT_AVAILABLE = "not available"

_ROOT = Path("/")
_CPU = "sys/devices/system/cpu/cpu"
_MOST_ZONES = 8


def cpu_model() -> str:
    """The CPU's own name, e.g. ``"AMD EPYC"``."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def host_facts(cores: Sequence[int], root: Path = _ROOT) -> dict[str, str]:
    """Facts by name; each is a text, ``NOT_AVAILABLE`` where the platform does not tell.

    Args:
        cores: The cores that are measured on; of several, the last is looked at. Empty when not pinned.
        root: Where ``proc`` and ``sys`` are.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    core = root / f"{_CPU}{cores[-1] if cores else 0}"
    zones = _thermal_zones(root)
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    facts = {
        "load": _read(root / "proc/loadavg").rpartition(" ")[0],
        "cpu_pressure": _read(root / "proc/pressure/cpu").partition("\n")[0],
        "context_switches_involuntary": str(usage.ru_nivcsw),
        "context_switches_voluntary": str(usage.ru_nvcsw),
        "steal_ticks": _steal_ticks(root),
        "cgroup_throttled_us": _cgroup_throttled(root),
        "temperature_millicelsius": str(max(zones.values())) if zones else "",
        "thermal_zones": _hottest_zones(zones),
        "cooling_devices": moved_devices(_cooling_devices(root)),
        "throttle_count": _read(core / "thermal_throttle/core_throttle_count"),
        "package_throttle_count": _read(core / "thermal_throttle/package_throttle_count"),
        "governor": _read(core / "cpufreq/scaling_governor"),
        "frequency_khz": _read(core / "cpufreq/scaling_cur_freq"),
        "frequency_limits_khz": held_back(_frequency_limits(root)),
        "package_energy_uj": _read(root / "sys/class/powercap/intel-rapl:0/energy_uj"),
        "cores": ",".join(map(str, sorted(affinity))),
        "platform": platform.platform(),
    }
    return {name: value or NOT_AVAILABLE for name, value in facts.items()}


def process_memory_kib(field: str) -> str:
    """``VmRSS`` or ``VmHWM`` (its peak) of this process."""
    for line in _read(Path("/proc/self/status")).splitlines():
        key, _, value = line.partition(":")
        if key == field:
            return value.split()[0]
    return NOT_AVAILABLE


def reset_peak_memory() -> bool:
    """Makes ``VmHWM`` start again from here; False where the kernel does not do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _steal_ticks(root: Path) -> str:
    """Ticks that a hypervisor gave to others, since boot."""
    fields = _read(root / "proc/stat").partition("\n")[0].split()
    return fields[8] if len(fields) > 8 else ""


def held_back(limits: Iterable[tuple[str, int, int]]) -> str:
    """Clusters of cores that are kept below their highest frequency: heat, power or somebody's setting.

    Args:
        limits: Name, highest frequency now and at all, kHz.
    """
    known = list(limits)
    slow = [f"{name}={now}/{most}" for name, now, most in known if now < most]
    return (",".join(slow) or "none") if known else NOT_AVAILABLE


def moved_devices(devices: Iterable[tuple[str, int]]) -> str:
    """Cooling devices that are at work, by name and state; a fan or a limit on the cores' frequency."""
    known = list(devices)
    moved = [f"{name}={state}" for name, state in known if state > 0]
    return (",".join(moved[:_MOST_ZONES]) or "none") if known else NOT_AVAILABLE


def _thermal_zones(root: Path) -> dict[str, int]:
    """Millidegrees by the folder's name and the zone's kind."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        reading = _read(zone / "temp")
        if reading.lstrip("-").isdigit():
            found[f"{_read(zone / 'type') or 'zone'}{zone.name.removeprefix('thermal_zone')}"] = int(reading)
    return found


def _hottest_zones(zones: dict[str, int]) -> str:
    hottest = sorted(zones, key=lambda name: -zones[name])[:_MOST_ZONES]
    return ",".join(f"{name}={zones[name]}" for name in hottest)


def _cooling_devices(root: Path) -> list[tuple[str, int]]:
    folders = sorted((root / "sys/class/thermal").glob("cooling_device*"))
    found = [(_read(one / "type") or one.name, _read(one / "cur_state")) for one in folders]
    return [(name, int(state)) for name, state in found if state.isdigit()]


def _frequency_limits(root: Path) -> list[tuple[str, int, int]]:
    folders = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
    found = [
        (one.name.removeprefix("policy"), _read(one / "scaling_max_freq"), _read(one / "cpuinfo_max_freq"))
        for one in folders
    ]
    return [(name, int(now), int(most)) for name, now, most in found if now.isdigit() and most.isdigit()]


def _cgroup_throttled(root: Path) -> str:
    """Microseconds for which a limit on the container's CPU time stopped it, since its start."""
    own = next(
        (line[3:] for line in _read(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), ""
    )
    cgroups = root / "sys/fs/cgroup"
    text = _read(cgroups / own.lstrip("/") / "cpu.stat") or _read(cgroups / "cpu.stat")
    return dict(line.partition(" ")[::2] for line in text.splitlines()).get("throttled_usec", "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
