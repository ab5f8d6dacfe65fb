"""Texts written in the format of Android 13 and Android 9 (no phone was at hand), and phones that tell nothing."""

from pathlib import Path

import pytest

from fleetnas_agents.drivers.android_facts import android_facts, battery_energy
from fleetnas_agents.evidence import NOT_AVAILABLE

TEXTS = Path(__file__).parent / "dumpsys"


def told(name: str) -> dict[str, str]:
    return android_facts((TEXTS / f"{name}.txt").read_text())


def test_recent_phone_tells_of_battery_heat_and_limits() -> None:
    assert told("android13") == {
        "battery_percent": "71",
        "battery_decicelsius": "289",
        "battery_status": "discharging",
        "battery_voltage_mv": "4013",
        "battery_charge_uah": "2824000",
        "battery_plugged": "no",
        "battery_current_ua": "-412000",
        "wakefulness": "awake",
        "thermal_status": "2",
        "cpu_celsius": "61",
        "skin_celsius": "41.3",
        "cooling_devices": "thermal-cpufreq-2=3",
        "frequency_limits_khz": "4=1826000/2253000,6=984000/2802000",
        "steal_ticks": "0",
    }


def test_older_phone_tells_what_it_can_and_says_so_of_the_rest() -> None:
    facts = told("android9")
    assert (facts["battery_status"], facts["battery_plugged"], facts["wakefulness"]) == (
        "charging",
        "usb",
        "asleep",
    )
    missing = {name for name, value in facts.items() if value == NOT_AVAILABLE}
    assert missing == {
        "battery_current_ua", "thermal_status", "cpu_celsius", "skin_celsius", "cooling_devices",
        "frequency_limits_khz", "steal_ticks",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "sh: dumpsys: not found", "== battery\nPermission Denial: can't dump\n"]
)
def test_phone_that_tells_nothing_says_so_of_each_fact(text: str) -> None:
    assert set(android_facts(text).values()) == {NOT_AVAILABLE}


def test_lines_may_end_as_an_old_shell_ends_them() -> None:
    text = (TEXTS / "android13.txt").read_text()
    assert android_facts(text.replace("\n", "\r\n")) == android_facts(text)


def drained(uah: int, **more: str) -> dict[str, str]:
    return told("android13") | {"battery_charge_uah": str(2824000 - uah)} | more


def test_energy_is_what_left_the_battery_over_the_runs() -> None:
    facts = battery_energy(drained(0), drained(4000), 100)
    # 4 mAh at 4.013 V are 57.8 J.
    assert float(facts["energy_j_per_run"]) == pytest.approx(0.578, rel=0.001)


def test_resolution_is_the_step_of_both_readings() -> None:
    facts = battery_energy(drained(0), drained(3000), 100)
    assert float(facts["energy_resolution_j"]) == pytest.approx(0.578 / 4, rel=0.001)


@pytest.mark.parametrize(
    ("before", "after", "run_count", "reason"),
    [
        (told("android9"), told("android9"), 100, "charging"),
        (drained(4000), drained(0), 100, "charging"),
        (drained(0), drained(0), 100, "did not move"),
        (drained(0), drained(4000), 0, "another network"),
        ({}, {}, 100, "no battery with a charge counter"),
        (
            drained(0),
            drained(4000, battery_voltage_mv=NOT_AVAILABLE),
            100,
            "no battery with a charge counter",
        ),
    ],
)
def test_battery_that_cannot_tell_gives_its_reason(
    before: dict[str, str], after: dict[str, str], run_count: int, reason: str
) -> None:
    (value,) = battery_energy(before, after, run_count).values()
    assert value.startswith(NOT_AVAILABLE)
    assert reason in value
