"""Workers of searches: how many at once, and what becomes of them. No fleet answers them here."""

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller import search_runner
from fleetnas_controller.operator import operator_token
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_runner import Ended, SearchRunner
from fleetnas_controller.search_worker import WorkerOrder

CONFIG = SearchConfig("a", "nas-bench-macro", "random", "table:nas-bench-macro", ("x",), budget=4)
NOBODY = "127.0.0.1:1"
WAIT_S = 60.0


class World:
    """A runner with room for one, and what it said."""

    def __init__(self, folder: Path) -> None:
        operator_token(folder)
        self.runner = SearchRunner(folder / "runs", folder, limit=1)
        self.started: list[str] = []
        self.ended: list[Ended] = []

    def begin(self) -> None:
        self.runner.begin(NOBODY, self.started.append, self.ended.append)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await asyncio.sleep(0.02)


def run(folder: Path, test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        world = World(folder)
        try:
            await test(world)
        finally:
            await world.runner.stop()

    asyncio.run(whole())


def test_nothing_runs_before_the_controller_answers(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.runner.submit(CONFIG)
        await asyncio.sleep(0)
        assert world.started == []
        world.begin()
        assert world.started == ["a"]

    run(tmp_path, test)


def test_second_search_waits_for_the_first_and_each_says_why_it_failed(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.begin()
        world.runner.submit(CONFIG)
        world.runner.submit(replace(CONFIG, name="b"))
        assert world.started == ["a"]
        await world.until(lambda: len(world.ended) == 2)
        assert [one.name for one in world.ended] == ["a", "b"]
        assert all(f"no controller answers at {NOBODY}" in one.reason for one in world.ended)

    run(tmp_path, test)


def test_controller_that_stops_while_a_worker_is_ended_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    (tmp_path / "stubborn.py").write_text(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(search_runner, "_WORKER", "stubborn")
    monkeypatch.setattr(search_runner, "_STOP_S", 0.5)

    async def test(world: World) -> None:
        world.begin()
        world.runner.submit(CONFIG)
        await world.until(lambda: note.exists() and note.read_text() != "")
        world.runner.cancel("a")
        await asyncio.sleep(0.1)

    run(tmp_path, test)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_cancelled_search_makes_room_and_is_not_heard_again(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.begin()
        world.runner.submit(CONFIG)
        world.runner.submit(replace(CONFIG, name="b"))
        world.runner.submit(replace(CONFIG, name="c"))
        world.runner.cancel("c")
        world.runner.cancel("a")
        await world.until(lambda: len(world.ended) == 1)
        assert world.started == ["a", "b"]
        assert world.ended[0].name == "b"

    run(tmp_path, test)


def test_worker_ends_with_whoever_started_it(tmp_path: Path) -> None:
    operator_token(tmp_path)
    runs = tmp_path / "runs"
    (runs / "a").mkdir(parents=True)
    with (runs / "a" / "lock").open("w") as lock:
        # It waits for the lock, as for the worker of a controller that was just killed.
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = subprocess.Popen(
            [sys.executable, "-m", "fleetnas_controller.search_worker"], stdin=subprocess.PIPE
        )
        assert worker.stdin is not None
        worker.stdin.write(WorkerOrder(CONFIG.to_json(), str(runs), NOBODY, str(tmp_path)).to_line())
        worker.stdin.close()
        assert worker.wait(WAIT_S) == 2


def test_store_that_a_kill_left_empty_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    sqlite3.connect(tmp_path / "runs" / "a" / "store.db").close()

    async def test(world: World) -> None:
        world.begin()
        world.runner.submit(CONFIG)
        await world.until(lambda: len(world.ended) == 1)
        # It got as far as the fleet: neither "exists already" nor "no search in this store".
        assert "no controller answers" in world.ended[0].reason

    run(tmp_path, test)


def test_damaged_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "store.db").write_bytes(b"no database at all, but long enough" * 100)

    async def test(world: World) -> None:
        world.begin()
        world.runner.submit(CONFIG)
        await world.until(lambda: len(world.ended) == 1)
        assert "damaged" in world.ended[0].reason

    run(tmp_path, test)
