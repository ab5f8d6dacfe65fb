"""What is seen of a host, and what is said of what is not."""

from pathlib import Path

from fleetnas_agents.evidence import NOT_AVAILABLE, host_facts, process_memory_kib

FROM_FILES = ("load", "cpu_pressure", "steal_ticks", "cgroup_throttled_us", "temperature_millicelsius",
              "thermal_zones", "cooling_devices", "throttle_count", "package_throttle_count", "governor",
              "frequency_khz", "frequency_limits_khz", "package_energy_uj")  # fmt: skip


def _write(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_platform_that_shows_nothing_says_so_of_each_fact(tmp_path: Path) -> None:
    facts = host_facts((0,), tmp_path)
    assert {facts[name] for name in FROM_FILES} == {NOT_AVAILABLE}


def test_facts_are_those_of_the_measured_core(tmp_path: Path) -> None:
    for core, governor in ((2, "powersave"), (3, "performance")):
        _write(tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", f"{governor}\n")
    assert host_facts((2, 3), tmp_path)["governor"] == "performance"


def test_temperature_is_that_of_the_hottest_zone(tmp_path: Path) -> None:
    for zone, reading in enumerate(("41000", "55500", "broken")):
        _write(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", f"{reading}\n")
    assert host_facts((), tmp_path)["temperature_millicelsius"] == "55500"


def test_zones_are_named_by_kind_and_number_the_hottest_first(tmp_path: Path) -> None:
    for zone, (kind, reading) in enumerate((("cpu", "41000"), ("gpu", "55500"))):
        _write(tmp_path, f"sys/class/thermal/thermal_zone{zone}/temp", f"{reading}\n")
        _write(tmp_path, f"sys/class/thermal/thermal_zone{zone}/type", f"{kind}\n")
    assert host_facts((), tmp_path)["thermal_zones"] == "gpu1=55500,cpu0=41000"


def test_limit_of_a_container_is_read_from_its_own_group(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", "0::/agents/one\n")
    _write(tmp_path, "sys/fs/cgroup/cpu.stat", "usage_usec 1\nthrottled_usec 2\n")
    assert host_facts((), tmp_path)["cgroup_throttled_us"] == "2"
    _write(tmp_path, "sys/fs/cgroup/agents/one/cpu.stat", "usage_usec 9\nnr_throttled 1\nthrottled_usec 77\n")
    assert host_facts((), tmp_path)["cgroup_throttled_us"] == "77"


def test_stolen_ticks_are_the_eighth_column(tmp_path: Path) -> None:
    _write(tmp_path, "proc/stat", "cpu 1 2 3 4 5 6 7 88 9 10\ncpu0 1\n")
    assert host_facts((), tmp_path)["steal_ticks"] == "88"


def test_file_of_another_format_is_not_available(tmp_path: Path) -> None:
    _write(tmp_path, "proc/stat", "cpu 1 2\n")
    assert host_facts((), tmp_path)["steal_ticks"] == NOT_AVAILABLE


def test_memory_of_an_unknown_kind_is_not_available() -> None:
    assert process_memory_kib("VmNone") == NOT_AVAILABLE
