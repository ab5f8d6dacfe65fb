"""Which statistic a run's latencies are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.chosen_statistics import choose_statistics, read_statistics, statistic_of
from fleetnas_controller.jobs import Device, DeviceState
from fleetnas_controller.result_tables import statistic_lines
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.self_tests import SelfTestRecord, SelfTests
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import DataLossError

Tested = Callable[[Statistic], SelfTests]


def device(kind: str = "adb", *statistics: Statistic) -> Device:
    targets = tuple(Target("phone", "ncnn", "1", statistic=one) for one in statistics or Statistic)
    return Device("devices/phone", "phone", kind, targets, DeviceState.ONLINE, 0.0)


@pytest.fixture
def tests(tmp_path: Path) -> SelfTests:
    return SelfTests(tmp_path)


@pytest.fixture
def tested(tests: SelfTests) -> Tested:
    def put(statistic: Statistic) -> SelfTests:
        tests.put(SelfTestRecord("phone", "t", 0.0, statistic, 0.01, "text", "it repeats to 0.40%"))
        return tests

    return put


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.of(tmp_path, "run")
    made.path.mkdir()
    return made


def test_self_test_chooses_and_is_named(tested: Tested) -> None:
    found = statistic_of(device(), tested(Statistic.CPU_P10))
    assert found.statistic is Statistic.CPU_P10
    assert "self-test: it repeats to 0.40%" in found.reason


@pytest.mark.parametrize(("kind", "statistic"), [("adb", Statistic.WALL_MEDIAN), ("host", Statistic.CPU_P10)])
def test_device_without_a_self_test_gets_what_suits_its_kind(
    tests: SelfTests, kind: str, statistic: Statistic
) -> None:
    assert statistic_of(device(kind), tests).statistic is statistic


def test_statistic_that_the_device_does_not_give_is_not_taken(tested: Tested) -> None:
    only_wall = device("adb", Statistic.WALL_MEDIAN)
    assert statistic_of(only_wall, tested(Statistic.CPU_P10)).statistic is Statistic.WALL_MEDIAN


def test_cpu_time_is_not_taken_for_several_threads(tested: Tested) -> None:
    found = statistic_of(device(), tested(Statistic.CPU_MEDIAN), thread_count=2)
    assert found.statistic is Statistic.WALL_MEDIAN


def test_resumed_run_keeps_its_statistic_whatever_was_tested_meanwhile(
    folder: RunFolder, tested: Tested
) -> None:
    devices = {"phone": device()}
    first = choose_statistics(folder, devices, tested(Statistic.CPU_P10), resumed=False)
    again = choose_statistics(folder, devices, tested(Statistic.CPU_MEDIAN), resumed=True)
    assert again == first == read_statistics(folder)


def test_run_of_before_goes_on_with_the_usual_statistic(folder: RunFolder, tested: Tested) -> None:
    found = choose_statistics(folder, {"phone": device()}, tested(Statistic.CPU_P10), resumed=True)
    assert found["phone"].statistic is Statistic.WALL_MEDIAN


@pytest.mark.parametrize(
    "content", ["", "{}", '{"version": 2}', '{"version": 1, "statistics": {"a": {"statistic": "x"}}}']
)
def test_broken_file_is_named(folder: RunFolder, tests: SelfTests, content: str) -> None:
    folder.statistics.write_text(content)
    with pytest.raises(DataLossError, match=r"statistics\.json"):
        choose_statistics(folder, {"phone": device()}, tests, resumed=True)


def test_report_says_what_its_latencies_are(folder: RunFolder, tested: Tested) -> None:
    choose_statistics(folder, {"phone": device()}, tested(Statistic.CPU_P10), resumed=False)
    shown: dict[str, Any] = {"phone": {"statistic": "cpu_p10", "reason": "because"}}
    assert statistic_lines({"statistics": shown}) == ["phone: latencies are cpu_p10 (because)"]
    assert statistic_lines({}) == []
