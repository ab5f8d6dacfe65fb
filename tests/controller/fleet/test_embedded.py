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
    fleet = EmbeddedFleet(tmp_path, AgentCommand("a", ("--help",)))
    with fleet, pytest.raises(UnavailableError, match=r"'a' ended 6 times; its log .*agent\.log' ends with"):
        fleet.wait_for_agent()
    with pytest.raises(UnavailableError, match=r"ended 6 times .* --resume"):
        fleet.check_agent()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--driver", "replay"), "give it with --table"),
        (("--driver", "replay", "--table", "absent.csv"), r"absent\.csv"),
        (("--driver", "host", "--core", "9999"), "--core 9999"),
        (("--driver", "host", "--threads", "many"), "many"),
    ],
)
def test_agent_that_says_why_it_cannot_begin_is_not_started_again(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    fleet = EmbeddedFleet(tmp_path, AgentCommand("a", arguments))
    with fleet, pytest.raises(UnavailableError, match=f"the agent of 'a' refuses: .*{said}"):
        fleet.wait_for_agent()
    assert fleet._log.read_text().count(said.replace("\\", "")) == 1


def test_agent_that_never_comes_is_named_with_its_last_words(tmp_path: Path) -> None:
    fleet = EmbeddedFleet(tmp_path, AgentCommand("a", ("--help",)), wait_s=0.0)
    with fleet, pytest.raises(UnavailableError, match=r"did not join within 0 s; its log .*agent\.log'"):
        fleet.wait_for_agent()
