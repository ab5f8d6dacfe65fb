"""What can be seen of a Linux host around a measurement. What the platform does not show says so."""

__all__ = ["NOT_AVAILABLE", "cpu_model", "host_facts", "process_memory_kib", "reset_peak_memory"]

import os
import platform
import resource
from collections.abc import Sequence
from pathlib import Path

NOT_AVAILABLE = "not available"

_ROOT = Path("/")
_CPU = "sys/devices/system/cpu/cpu"


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
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    facts = {
        "load": _read(root / "proc/loadavg").rpartition(" ")[0],
        "cpu_pressure": _read(root / "proc/pressure/cpu").partition("\n")[0],
        "context_switches_involuntary": str(usage.ru_nivcsw),
        "steal_ticks": _steal_ticks(root),
        "temperature_millicelsius": _hottest(root),
        "throttle_count": _read(core / "thermal_throttle/core_throttle_count"),
        "governor": _read(core / "cpufreq/scaling_governor"),
        "frequency_khz": _read(core / "cpufreq/scaling_cur_freq"),
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


def _hottest(root: Path) -> str:
    readings = [_read(zone / "temp") for zone in (root / "sys/class/thermal").glob("thermal_zone*")]
    numbers = [int(one) for one in readings if one.lstrip("-").isdigit()]
    return str(max(numbers)) if numbers else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
