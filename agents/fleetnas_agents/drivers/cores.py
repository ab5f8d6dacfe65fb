"""Which cores a device has, and which of them are fast."""

__all__ = ["big_cores", "core_text", "parse_cores"]

import re
from collections.abc import Sequence

from fleetnas_agents.shells.shell import Shell
from fleetnas_search_spaces.errors import InvalidArgumentError

_LIST_S = 20.0
_LIST = (
    "for c in /sys/devices/system/cpu/cpu[0-9]*; do "
    'echo "core ${c##*cpu} $(cat $c/cpufreq/cpuinfo_max_freq 2>/dev/null)"; done'
)


def big_cores(shell: Shell) -> tuple[int, ...]:
    """The cores with the highest frequency; empty, which means not pinned, where the device does not tell.

    Raises:
        LinkError: The link broke.
    """
    found = re.findall(r"^core (\d+) (\d+)\s*$", shell.run(_LIST, timeout_s=_LIST_S).text, re.MULTILINE)
    frequencies = {int(core): int(frequency) for core, frequency in found}
    highest = max(frequencies.values(), default=0)
    return tuple(sorted(core for core, frequency in frequencies.items() if frequency == highest))


def core_text(cores: Sequence[int]) -> str:
    """``(4, 5, 6, 7)`` as ``"4-7"``; inverse of ``parse_cores``."""
    runs: list[list[int]] = []
    for core in sorted(set(cores)):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def parse_cores(text: str) -> tuple[int, ...]:
    """``"0,4-7"`` as ``(0, 4, 5, 6, 7)``.

    Raises:
        InvalidArgumentError: It is no list of cores below 1024.
    """
    cores: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise InvalidArgumentError(f"--cores '{text}' is no list of cores, e.g. 4-7 or 0,2.")
        cores |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(sorted(cores))
