"""A stop while a device is looked for."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleetnas_agents.patience import patiently


def test_what_was_waited_for_is_returned_and_errors_come_through() -> None:
    def fail() -> None:
        raise KeyError("gone")

    assert asyncio.run(patiently(lambda: 7)) == 7
    with pytest.raises(KeyError, match="gone"):
        asyncio.run(patiently(fail))


def test_what_comes_just_after_the_stop_is_taken_back() -> None:
    going = threading.Event()
    undone: list[str] = []

    def work() -> str:
        going.wait(10.0)
        return "held"

    async def stopped() -> None:
        task = asyncio.create_task(patiently(work, undone.append))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.01)
        going.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    assert undone == ["held"]


def test_work_without_an_end_does_not_keep_a_stopped_one_waiting() -> None:
    forever = threading.Event()

    async def stopped() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(patiently(forever.wait), 0.01)

    asyncio.run(stopped())
    assert not forever.is_set()
    forever.set()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_agent_that_looks_for_a_silent_board_ends_with_the_first_signal(
    tmp_path: Path, stop: signal.Signals
) -> None:
    """The board takes the connection and says nothing, as one does whose disk hangs."""
    pytest.importorskip("paramiko", reason="the package paramiko is not installed")
    with socket.create_server(("127.0.0.1", 0)) as board:
        board.settimeout(60.0)
        words = ["--controller", "127.0.0.1:1", "--token", "t", "--state-dir", str(tmp_path / "agent")]
        reach = ["--driver", "ssh", "--ssh", f"me@127.0.0.1:{board.getsockname()[1]}", "--wait-s", "600"]
        vouched = ["--host-key", f"SHA256:{'A' * 43}"]
        command = [sys.executable, "-m", "fleetnas_agents.cli", *words, *reach, *vouched]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as agent:
            try:
                link, _ = board.accept()
                agent.send_signal(stop)
                # It would look on for ten minutes, ten seconds at a time.
                _, said = agent.communicate(timeout=8.0)
            finally:
                agent.kill()
        link.close()
    assert (agent.returncode, said) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.killpg(agent.pid, 0)  # nobody of its group is left
