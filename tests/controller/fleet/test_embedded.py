"""A controller and its one agent, kept running."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import DeviceState
from fleetnas_search_spaces.errors import UnavailableError


def replaying(folder: Path) -> AgentCommand:
    (folder / "table.csv").write_text("arch,latency_ms\n12,3.5\n")
    return AgentCommand("a", ("--driver", "replay", "--table", str(folder / "table.csv")))


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_agent_that_dies_is_started_again(tmp_path: Path) -> None:
    fleet = EmbeddedFleet(tmp_path, replaying(tmp_path))
    with fleet as client:
        fleet.wait_for_agent()
        first = fleet._process
        first.kill()
        wait(lambda: fleet._process is not first)
        wait(lambda: client.get_device("a").state is DeviceState.ONLINE)


def test_nothing_runs_afterwards(tmp_path: Path) -> None:
    fleet = EmbeddedFleet(tmp_path, replaying(tmp_path))
    with fleet:
        fleet.wait_for_agent()
    assert fleet._process.returncode is not None
    assert not fleet._thread.is_alive()


def test_folder_can_be_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        fleet = EmbeddedFleet(tmp_path, replaying(tmp_path))
        with fleet as client:
            fleet.wait_for_agent()
            assert len(client.list_devices()) == 1


def test_agent_that_keeps_dying_is_given_up_before_the_time_is_over(tmp_path: Path) -> None:
    agent = AgentCommand("a", ("--driver", "replay"))
    fleet = EmbeddedFleet(tmp_path, agent)
    with fleet, pytest.raises(UnavailableError, match=r"'a' ended 6 times; .*give it with --table"):
        fleet.wait_for_agent()
    with pytest.raises(UnavailableError, match=r"give it with --table.* --resume"):
        fleet.check_agent()


def test_agent_that_never_comes_is_named_with_its_last_words(tmp_path: Path) -> None:
    agent = AgentCommand("a", ("--driver", "replay", "--table", str(tmp_path / "absent.csv")))
    fleet = EmbeddedFleet(tmp_path, agent, wait_s=60.0)
    with fleet, pytest.raises(UnavailableError, match=r"agent\.log' ends with: .*absent\.csv"):
        fleet.wait_for_agent()
