"""Runs searches for clients, each in a process of its own, a few at a time."""

__all__ = ["Ended", "RunsSearches", "SearchRunner"]

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_worker import WorkerOrder
from fleetnas_search_spaces.errors import FleetNASError

_log = logging.getLogger(__name__)
_WORKER = "fleetnas_controller.search_worker"
_STOP_S = 5.0
_WORDS = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process of a search ended: with a document, or with a reason why not."""

    name: str
    result_json: str = ""
    reason: str = ""


class RunsSearches(Protocol):
    """What a search book needs of a runner."""

    def submit(self, config: SearchConfig) -> None:
        """Runs it, or goes on with it, as soon as there is room."""
        ...

    def cancel(self, name: str) -> None:
        """Ends it, whatever it does; nothing more is heard of it."""
        ...


class SearchRunner:
    """Starts a worker for each search. One event loop.

    Args:
        runs_dir: Where the folders of the searches go.
        data_dir: The controller's.
        limit: Workers at once.
    """

    def __init__(self, runs_dir: Path, data_dir: Path, limit: int = 2) -> None:
        self._runs_dir = runs_dir
        self._data_dir = data_dir
        self._limit = limit
        self._address = ""
        self._waiting: deque[SearchConfig] = deque()
        self._tasks: dict[str, asyncio.Task[Ended]] = {}
        self._started: Callable[[str], None] = lambda name: None
        self._ended: Callable[[Ended], None] = lambda ended: None

    def begin(self, address: str, started: Callable[[str], None], ended: Callable[[Ended], None]) -> None:
        """From now on searches run; they reach the controller at ``address``."""
        self._address, self._started, self._ended = address, started, ended
        self._fill()

    def submit(self, config: SearchConfig) -> None:
        self._waiting.append(config)
        self._fill()

    def cancel(self, name: str) -> None:
        self._waiting = deque(one for one in self._waiting if one.name != name)
        if name in self._tasks:
            _cancel(self._tasks[name])

    async def stop(self) -> None:
        """Ends every worker; what they stored stays, and the next start goes on with it."""
        self._waiting.clear()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            _cancel(task)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        while self._address and self._waiting and len(self._tasks) < self._limit:
            config = self._waiting.popleft()
            task = asyncio.create_task(self._outcome(config))
            self._tasks[config.name] = task
            task.add_done_callback(partial(self._done, config.name))
            self._started(config.name)

    def _done(self, name: str, task: "asyncio.Task[Ended]") -> None:
        # A callback, since a task that is cancelled before its first step runs nothing of its own.
        del self._tasks[name]
        self._fill()
        if task.cancelled():
            return
        try:
            self._ended(task.result())
        except FleetNASError as error:
            # E.g. a full disk. The next start finds the search unended and its worker's result stored.
            _log.error("the end of search '%s' could not be stored: %s", name, error)

    async def _outcome(self, config: SearchConfig) -> Ended:
        order = WorkerOrder(
            config.to_json(), str(self._runs_dir), self._address, str(self._data_dir.absolute())
        )
        try:
            self._runs_dir.mkdir(parents=True, exist_ok=True)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", _WORKER,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        except OSError as error:
            return Ended(config.name, reason=f"its process could not be started ({error.strerror})")
        assert process.stdin is not None  # asked for as pipes
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(order.to_line())
            said, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
            code = await process.wait()
        except BaseException:
            await _end(process)
            raise
        if code == 0:
            return Ended(config.name, result_json=said.decode())
        words = complaint.decode(errors="replace").strip().splitlines()
        last = words[-1][-_WORDS:] if words else "it said nothing"
        return Ended(config.name, reason=last if code == 1 else f"its process ended with {code}: {last}")


def _cancel(task: "asyncio.Task[Ended]") -> None:
    """Once: a second time would interrupt the wait for its process to end."""
    if not task.cancelling():
        task.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
