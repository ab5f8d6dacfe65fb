"""What can be seen of a Linux host around a measurement. What is not there is left out."""

__all__ = ["cpu_model", "host_facts"]

import os
import platform
import resource
from pathlib import Path

_CPUFREQ = Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")


def cpu_model() -> str:
    """The CPU's own name, e.g. ``"AMD EPYC"``."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def host_facts(core: int | None) -> dict[str, str]:
    """Facts by name: load, frequency, governor, temperature, context switches, cores.

    Args:
        core: The core that is measured on; None when not pinned.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    facts = {
        "load": _read(Path("/proc/loadavg")).rpartition(" ")[0],
        "context_switches_involuntary": str(usage.ru_nivcsw),
        "max_rss_kib": str(usage.ru_maxrss),
        "steal_ticks": _steal_ticks(),
        "temperature_millicelsius": _read(_THERMAL / "thermal_zone0" / "temp"),
        "platform": platform.platform(),
    }
    if hasattr(os, "sched_getaffinity"):
        facts["cores"] = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    if core is not None:
        folder = _CPUFREQ / f"cpu{core}" / "cpufreq"
        facts["governor"] = _read(folder / "scaling_governor")
        facts["frequency_khz"] = _read(folder / "scaling_cur_freq")
    return {name: value for name, value in facts.items() if value}


def _steal_ticks() -> str:
    """Ticks that a hypervisor gave to others, since boot."""
    fields = _read(Path("/proc/stat")).partition("\n")[0].split()
    return fields[8] if len(fields) > 8 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
