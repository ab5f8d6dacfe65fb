"""Clocks that are held, and put back whatever becomes of the agent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.clocks.device import device_clocks
from fleetnas_agents.clocks.files import HostClockFiles, ShellClockFiles
from fleetnas_agents.clocks.host import host_clocks
from fleetnas_agents.clocks.lock import ClockSettings, locked_clocks
from fleetnas_agents.shells.shell import Finished
from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError, UnavailableError

USUAL = {"scaling_governor": "schedutil", "scaling_min_freq": "300000", "scaling_max_freq": "1800000"}
LOCKED = {"scaling_governor": "performance", "scaling_min_freq": "1200000", "scaling_max_freq": "1200000"}

# Stops before its n-th write, or once everything is locked.
HOLDING = """
import sys
from pathlib import Path
from fleetnas_agents.clocks.device import device_clocks
from fleetnas_agents.clocks.files import HostClockFiles
from fleetnas_agents.clocks.host import host_clocks
from fleetnas_agents.clocks.lock import ClockSettings
write, left = HostClockFiles.write, [int(sys.argv[2])]
def wait():
    print("here", flush=True)
    sys.stdin.read()
def counted(self, path, value):
    if left[0] == 0:
        wait()
    left[0] -= 1
    return write(self, path, value)
HostClockFiles.write = counted
with host_clocks(ClockSettings(1200000), Path(sys.argv[1])):
    wait()
"""


def clusters(root: Path) -> list[dict[str, str]]:
    folders = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
    return [{name: (one / name).read_text().strip() for name in USUAL} for one in folders]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clusters of cores."""
    for policy in ("policy0", "policy4"):
        folder = tmp_path / "sys/devices/system/cpu/cpufreq" / policy
        folder.mkdir(parents=True)
        for name, value in USUAL.items():
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "run").mkdir()
    return tmp_path


def test_clocks_are_held_and_put_back(root: Path) -> None:
    with host_clocks(ClockSettings(1_200_000), root):
        assert clusters(root) == [LOCKED] * 2
    assert clusters(root) == [USUAL] * 2
    assert not (root / "run/fleetnas-clocks.json").exists()


def test_governor_alone_leaves_the_limits(root: Path) -> None:
    with host_clocks(ClockSettings(), root):
        assert clusters(root) == [USUAL | {"scaling_governor": "performance"}] * 2


def test_clocks_are_put_back_after_an_error(root: Path) -> None:
    with pytest.raises(KeyError), host_clocks(ClockSettings(1_200_000), root):
        raise KeyError
    assert clusters(root) == [USUAL] * 2


@pytest.mark.parametrize("write_count", [0, 1, 4, 99])
def test_next_start_puts_back_what_a_killed_agent_left(root: Path, write_count: int) -> None:
    command = [sys.executable, "-c", HOLDING, str(root), str(write_count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        os.kill(process.pid, signal.SIGKILL)
    changed = sum(one[name] != USUAL[name] for one in clusters(root) for name in USUAL)
    assert changed == min(write_count, 6)
    with host_clocks(None, root):
        assert clusters(root) == [USUAL] * 2
    assert not (root / "run/fleetnas-clocks.json").exists()


def test_locking_again_after_a_kill_still_remembers_the_usual_clocks(root: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(root), "99"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    with host_clocks(ClockSettings(), root):
        assert clusters(root)[0]["scaling_max_freq"] == USUAL["scaling_max_freq"]
    assert clusters(root) == [USUAL] * 2


def test_second_agent_does_not_take_held_clocks_for_the_usual_ones(root: Path) -> None:
    with host_clocks(ClockSettings(), root):
        with (
            pytest.raises(FailedPreconditionError, match="another agent holds"),
            host_clocks(ClockSettings(), root),
        ):
            raise AssertionError("it was let in")
        with host_clocks(None, root):
            assert clusters(root)[0]["scaling_governor"] == "performance"
    assert clusters(root) == [USUAL] * 2


def test_machine_without_frequencies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        pytest.raises(FailedPreconditionError, match="virtual machine"),
        host_clocks(ClockSettings(), tmp_path),
    ):
        raise AssertionError("it was let in")
    assert not (tmp_path / "run/fleetnas-clocks.json").exists()


def test_machine_whose_journal_cannot_be_written_is_left_alone(root: Path) -> None:
    (root / "run").rmdir()
    with pytest.raises(FailedPreconditionError, match="needs root"), host_clocks(ClockSettings(), root):
        raise AssertionError("it was let in")
    assert clusters(root) == [USUAL] * 2


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"version": 2, "values": {}}', '{"version": 1, "values": {"../../kernel/x": "1"}}', "[1]"],
)
def test_broken_journal_is_said_and_nothing_is_written(root: Path, content: str) -> None:
    (root / "run/fleetnas-clocks.json").write_text(content)
    with pytest.raises(DataLossError, match=r"fleetnas-clocks\.json"), host_clocks(None, root):
        raise AssertionError("it was let in")
    assert clusters(root) == [USUAL] * 2


class Kernel:
    """Files that refuse as cpufreq does: no lowest frequency above the highest, none beyond what the cores have."""

    def __init__(self) -> None:
        self.values = {f"policy0/{name}": value for name, value in USUAL.items()}
        self.unreachable = False

    def read(self) -> dict[str, str]:
        if self.unreachable:
            raise UnavailableError("the cable fell out: plug it in.")
        return dict(self.values)

    def write(self, path: str, value: str) -> bool:
        after = self.values | {path: value}
        low, high = int(after["policy0/scaling_min_freq"]), int(after["policy0/scaling_max_freq"])
        if low > high or high > 2_400_000 or low < 300_000:
            return False
        self.values = after
        return True


@pytest.mark.parametrize("khz", [300_000, 1_200_000, 2_400_000])
def test_limits_are_written_in_an_order_that_the_kernel_takes(tmp_path: Path, khz: int) -> None:
    kernel = Kernel()
    usual = kernel.read()
    with locked_clocks(kernel, ClockSettings(khz), tmp_path / "clocks.json"):
        assert (
            kernel.values["policy0/scaling_min_freq"] == kernel.values["policy0/scaling_max_freq"] == str(khz)
        )
    assert kernel.values == usual


def test_frequency_that_the_cores_lack_is_refused_and_all_is_as_before(tmp_path: Path) -> None:
    kernel = Kernel()
    usual = kernel.read()
    with (
        pytest.raises(FailedPreconditionError, match=r"refuses '9000000'"),
        locked_clocks(kernel, ClockSettings(9_000_000), tmp_path / "clocks.json"),
    ):
        raise AssertionError("it was let in")
    assert kernel.values == usual
    assert not (tmp_path / "clocks.json").exists()


def test_device_out_of_reach_at_the_end_is_put_back_at_the_next_start(tmp_path: Path) -> None:
    kernel = Kernel()
    usual = kernel.read()
    with locked_clocks(kernel, ClockSettings(), tmp_path / "clocks.json"):
        kernel.unreachable = True
    assert json.loads((tmp_path / "clocks.json").read_text())["values"] == usual
    kernel.unreachable = False
    with locked_clocks(kernel, None, tmp_path / "clocks.json"):
        assert kernel.values == usual


class LocalShell:
    """A ``Shell`` of this machine, as far as clocks need one; ``su`` and ``sudo`` lead nowhere."""

    def __init__(self, tools: Path, user: int) -> None:
        tools.mkdir(exist_ok=True)
        for name, text in (("id", f"echo {user}"), ("su", "exit 1"), ("sudo", "exit 1")):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        self._environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}

    def run(self, command: str, *, timeout_s: float) -> Finished:
        words, output = ["/bin/sh", "-c", command], subprocess.PIPE
        done = subprocess.run(
            words,
            env=self._environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        return Finished(done.returncode, done.stdout)

    def close(self) -> None:
        """Nothing is open."""


def opener(shell: LocalShell) -> Callable[[Callable[[], None]], Any]:
    return lambda progress: shell


def test_device_with_a_shell_is_held_and_put_back(root: Path, tmp_path: Path) -> None:
    files = ShellClockFiles(opener(LocalShell(tmp_path / "tools", user=0)), str(root))
    assert files.read() == HostClockFiles(root).read()
    with locked_clocks(files, ClockSettings(1_200_000), tmp_path / "clocks.json"):
        assert clusters(root) == [LOCKED] * 2
    assert clusters(root) == [USUAL] * 2


def test_device_without_root_is_refused_and_left_alone(root: Path, tmp_path: Path) -> None:
    files = ShellClockFiles(opener(LocalShell(tmp_path / "tools", user=1000)), str(root))
    with (
        pytest.raises(FailedPreconditionError, match="rooted phone"),
        locked_clocks(files, ClockSettings(), tmp_path / "clocks.json"),
    ):
        raise AssertionError("it was let in")
    assert clusters(root) == [USUAL] * 2


@pytest.fixture
def board(root: Path, tmp_path: Path) -> Callable[[], ShellClockFiles]:
    """The same board for each agent that reaches it; it tells who it is and which run of its kernel this is."""
    for path, text in (("etc/machine-id", "board-7"), ("proc/sys/kernel/random/boot_id", "first-boot")):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(f"{text}\n")
    return lambda: ShellClockFiles(opener(LocalShell(tmp_path / "tools", user=0)), str(root))


def test_second_agent_of_a_board_is_refused_wherever_it_keeps_its_journal(
    board: Callable[[], ShellClockFiles], root: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    with device_clocks(board(), ClockSettings(1_200_000), first, "one"):
        with (
            pytest.raises(
                FailedPreconditionError, match=r"another agent \(one\) holds.*remove '.*first-boot'"
            ),
            device_clocks(board(), ClockSettings(), second, "two"),
        ):
            raise AssertionError("it was let in")
        assert clusters(root) == [LOCKED] * 2
        assert not second.exists()
    assert clusters(root) == [USUAL] * 2
    with device_clocks(board(), ClockSettings(), second, "two"):
        assert clusters(root)[0]["scaling_governor"] == "performance"
    assert clusters(root) == [USUAL] * 2
    assert list((root / "run").iterdir()) == []


def killed_while_it_held(board: Callable[[], ShellClockFiles], journal: Path) -> None:
    """Leaves what a process leaves that is gone from one moment to the next."""
    holding = device_clocks(board(), ClockSettings(1_200_000), journal, "one")
    holding.__enter__()
    kept, claim = journal.read_bytes(), board()
    kernel = claim.kernel()
    holding.__exit__(None, None, None)
    for policy in ("policy0", "policy4"):
        for name, value in LOCKED.items():
            claim.write(f"{policy}/{name}", value)
    claim.claim("one", kernel)
    journal.write_bytes(kept)


@pytest.mark.parametrize("settings", [None, ClockSettings()], ids=["without", "with"])
def test_killed_agent_of_a_board_puts_back_what_it_left(
    board: Callable[[], ShellClockFiles], root: Path, tmp_path: Path, settings: ClockSettings | None
) -> None:
    journal = tmp_path / "clocks.json"
    killed_while_it_held(board, journal)
    assert clusters(root) == [LOCKED] * 2
    with (
        pytest.raises(FailedPreconditionError),
        device_clocks(board(), ClockSettings(), tmp_path / "b", "two"),
    ):
        raise AssertionError("it was let in")
    with device_clocks(board(), settings, journal, "one"):
        assert clusters(root)[0]["scaling_max_freq"] == USUAL["scaling_max_freq"]
    assert clusters(root) == [USUAL] * 2
    assert not journal.exists()
    assert list((root / "run").iterdir()) == []


def test_board_that_started_anew_belongs_to_nobody_and_keeps_its_clocks(
    board: Callable[[], ShellClockFiles], root: Path, tmp_path: Path
) -> None:
    killed_while_it_held(board, tmp_path / "clocks.json")
    (root / "proc/sys/kernel/random/boot_id").write_text("second-boot\n")
    with device_clocks(board(), None, tmp_path / "clocks.json", "one"):
        assert clusters(root) == [LOCKED] * 2  # as this kernel has them, whatever another run of it had
    assert not (tmp_path / "clocks.json").exists()
    with device_clocks(board(), ClockSettings(), tmp_path / "b", "two"):
        assert (tmp_path / "b").exists()
    assert list((root / "run").iterdir()) == []


def test_journal_of_another_board_is_not_written_to_this_one(
    board: Callable[[], ShellClockFiles], root: Path, tmp_path: Path
) -> None:
    killed_while_it_held(board, tmp_path / "clocks.json")
    (root / "etc/machine-id").write_text("board-8\n")
    with (
        pytest.raises(FailedPreconditionError, match=r"another device were \(board-7; this one is board-8\)"),
        device_clocks(board(), None, tmp_path / "clocks.json", "one"),
    ):
        raise AssertionError("it was let in")
    assert clusters(root) == [LOCKED] * 2
    assert (tmp_path / "clocks.json").exists()


def test_agent_without_the_option_opens_no_link_when_nothing_was_left(tmp_path: Path) -> None:
    def refuse(progress: Callable[[], None]) -> Any:
        raise AssertionError("a link was opened")

    with device_clocks(ShellClockFiles(refuse), None, tmp_path / "clocks.json", "one"):
        assert not (tmp_path / "clocks.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lock-clocks", "fast"], "'fast' is no frequency in kHz"),
        (["--lock-clocks", "--driver", "replay"], "played device"),
    ],
)
def test_option_that_cannot_be_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    from fleetnas_agents.cli import main

    assert main(["--controller", "127.0.0.1:1", "--state-dir", str(tmp_path / "agent"), *options]) == 1
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said


def test_target_of_held_clocks_is_another_one() -> None:
    from fleetnas_agents.drivers.host import HostDriver

    keys = [HostDriver(clock=one).describe().targets[0].key for one in ("", "performance")]
    assert keys[1] == keys[0].replace("/", "@performance/", 1)
