"""What the kernel of a device with a shell tells of slowed-down cores: a command, and the facts in its answer."""

__all__ = ["sysfs_command", "sysfs_facts"]

from fleetnas_agents.evidence import NOT_AVAILABLE, held_back, moved_devices


def sysfs_command(root: str = "") -> str:
    """A line of POSIX shell that works in busybox and toybox too.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    return (
        f"for p in {root}/sys/devices/system/cpu/cpufreq/policy*; do [ -d $p ] && echo policy ${{p##*policy}} "
        "$(cat $p/scaling_max_freq 2>/dev/null) $(cat $p/cpuinfo_max_freq 2>/dev/null); done; "
        f"for c in {root}/sys/class/thermal/cooling_device*; do [ -d $c ] && echo cooling "
        "$(cat $c/cur_state 2>/dev/null || echo -) $(cat $c/type 2>/dev/null); done; "
        f"head -n 1 {root}/proc/stat 2>/dev/null"
    )


def sysfs_facts(text: str) -> dict[str, str]:
    """Facts by name, ``NOT_AVAILABLE`` where the kernel shows nothing: many phones keep these files from a shell.

    ``frequency_limits_khz``: clusters of cores that may not run as fast as they could, as ``POLICY=NOW/MOST``, or
    ``none``. ``cooling_devices``: those at work, as ``TYPE=STATE``, or ``none``. ``steal_ticks`` since boot.
    """
    limits, cooling, steal = [], [], ""
    for line in text.splitlines():
        words = line.split()
        match words[:1]:
            case ["policy"] if len(words) == 4 and words[2].isdigit() and words[3].isdigit():
                limits.append((words[1], int(words[2]), int(words[3])))
            case ["cooling"] if len(words) >= 3 and words[1].isdigit():
                cooling.append((" ".join(words[2:]), int(words[1])))
            case ["cpu"] if len(words) > 8:
                steal = words[8]
    return {
        "frequency_limits_khz": held_back(limits),
        "cooling_devices": moved_devices(cooling),
        "steal_ticks": steal or NOT_AVAILABLE,
    }
