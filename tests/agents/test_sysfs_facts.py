"""The kernel's files through a shell: the command runs here, on a made-up tree."""

import subprocess
from pathlib import Path

from fleetnas_agents.drivers.sysfs_facts import sysfs_command, sysfs_facts
from fleetnas_agents.evidence import NOT_AVAILABLE, host_facts


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def _told(root: Path) -> dict[str, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", sysfs_command(str(root))], capture_output=True, text=True, check=False
    )
    return sysfs_facts(done.stdout)


HOT = {
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1800000",
    "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1800000",
    "sys/devices/system/cpu/cpufreq/policy4/scaling_max_freq": "1200000",
    "sys/devices/system/cpu/cpufreq/policy4/cpuinfo_max_freq": "2400000",
    "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-4",
    "sys/class/thermal/cooling_device0/cur_state": "5",
    "sys/class/thermal/cooling_device1/type": "pwm fan",
    "sys/class/thermal/cooling_device1/cur_state": "0",
    "proc/stat": "cpu  1 2 3 4 5 6 7 88 9 10",
}


def test_board_that_was_slowed_down_tells_by_how_much_and_by_what(tmp_path: Path) -> None:
    facts = _told(_tree(tmp_path, HOT))
    assert facts == {
        "frequency_limits_khz": "4=1200000/2400000",
        "cooling_devices": "thermal-cpufreq-4=5",
        "steal_ticks": "88",
    }


def test_host_tells_the_same_of_the_same_files(tmp_path: Path) -> None:
    facts = host_facts((0,), _tree(tmp_path, HOT))
    told = _told(tmp_path)
    assert {name: facts[name] for name in told} == told


def test_board_at_full_speed_says_none(tmp_path: Path) -> None:
    names = [name for name in HOT if "policy0" in name or "cooling_device1" in name]
    facts = _told(_tree(tmp_path, {name: HOT[name] for name in names}))
    assert (facts["frequency_limits_khz"], facts["cooling_devices"]) == ("none", "none")


def test_board_that_shows_nothing_says_so(tmp_path: Path) -> None:
    assert set(_told(tmp_path).values()) == {NOT_AVAILABLE}


def test_half_of_a_file_is_not_taken_for_a_reading() -> None:
    text = "policy 0 1800000\ncooling -\ncooling x fan\ncpu 1 2\n"
    assert set(sysfs_facts(text).values()) == {NOT_AVAILABLE}
