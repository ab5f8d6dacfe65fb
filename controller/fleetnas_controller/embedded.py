"""A whole fleet in one process and a child: what a search uses when no controller is named."""

__all__ = ["AgentCommand", "EmbeddedFleet"]

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import DeviceState
from fleetnas_controller.operator import operator_token
from fleetnas_controller.server import ControllerServer
from fleetnas_search_spaces.errors import NotFoundError, UnavailableError

_AGENT_WAIT_S = 60.0
_START_WAIT_S = 30.0
_POLL_S = 0.05
_RESTARTS_A_MINUTE = 5
_REFUSED = (1, 2)  # how an agent ends that has said in one line why
_TOKEN_TTL_S = 86_400.0
_TOKEN_USES = 1_000


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """The one agent of an embedded fleet.

    Attributes:
        device: Its id.
        arguments: Of ``fleetnas-agent``, without controller, token, id and state.
    """

    device: str
    arguments: tuple[str, ...]


class EmbeddedFleet:
    """Serves ``data_dir`` on a free loopback port and keeps one agent running beside it.

    The server, the store and the protocol are those of a real fleet. The agent ends with this process, however
    that ends, and is started again when it dies.

    Args:
        wait_s: How long to wait for the agent to join.
    """

    def __init__(self, data_dir: Path, agent: AgentCommand, *, wait_s: float = _AGENT_WAIT_S) -> None:
        self._data_dir = data_dir
        self._agent = agent
        self._wait_s = wait_s
        self._loop = asyncio.new_event_loop()
        self._ended = threading.Event()
        self._came = threading.Event()
        self._log = data_dir / "agent.log"

    def __enter__(self) -> FleetClient:
        """A client of the running fleet; the agent may still be on its way (``wait_for_agent``)."""
        started: Future[str] = Future()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        self.address = started.result(timeout=_START_WAIT_S)
        self.client = FleetClient(self.address, operator_token(self._data_dir))
        try:
            token = self.client.create_join_token(
                device_id=self._agent.device, use_count=_TOKEN_USES, ttl_s=_TOKEN_TTL_S
            )
            self._secret = token.secret
            self._process = self._start_agent()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._keeper = threading.Thread(target=self._keep_agent, daemon=True)
        self._keeper.start()
        return self.client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        keeper = getattr(self, "_keeper", None)
        if keeper is not None:
            # Otherwise it might start one more agent after the last was stopped.
            keeper.join()
        process = getattr(self, "_process", None)
        if process is not None:
            _end(process)
        self.client.close()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10.0)

    def wait_for_agent(self) -> None:
        """Returns when the agent is there.

        Raises:
            UnavailableError: It did not come in time, or keeps dying; with its last words.
            ResourceExhaustedError, DataLossError: The fleet's store does not keep what it is told.
        """
        deadline = time.monotonic() + self._wait_s
        how = f"did not join within {self._wait_s:g} s"
        while time.monotonic() < deadline:
            if self._server.failure is not None:
                raise self._server.failure
            if self._process.poll() is not None and self._ended.is_set():
                if self._refused():
                    raise UnavailableError(
                        f"the agent of '{self._agent.device}' refuses: {self._last_words()}"
                    )
                how = f"ended {_RESTARTS_A_MINUTE + 1} times"
                break
            try:
                if self.client.get_device(self._agent.device).state is DeviceState.ONLINE:
                    self._came.set()
                    return
            except NotFoundError:
                pass  # not enrolled yet
            time.sleep(_POLL_S)
        raise UnavailableError(
            f"the agent of '{self._agent.device}' {how}; its log '{self._log}' ends with: {self._last_words()}"
        )

    def check_agent(self) -> None:
        """Raises UnavailableError, with the agent's last words, once it was given up."""
        if self._ended.is_set():
            raise UnavailableError(
                f"the agent of '{self._agent.device}' ended {_RESTARTS_A_MINUTE + 1} times within a minute; its log "
                f"'{self._log}' ends with: {self._last_words()} Mend it, and go on with --resume."
            )

    def _serve(self, started: "Future[str]") -> None:
        """The thread of the server."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve_until_stopped(started))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for the start
            if not started.done():
                started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve_until_stopped(self, started: "Future[str]") -> None:
        self._stopping = asyncio.Event()
        # One who waits at a terminal frees space when told to, and goes on with --resume.
        self._server = ControllerServer(self._data_dir, "127.0.0.1:0", enduring=False)
        started.set_result(await self._server.start())
        try:
            await self._stopping.wait()
        finally:
            await self._server.stop()

    def _start_agent(self) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable, "-m", "fleetnas_agents.cli", "--controller", self.address, "--exit-with-stdin",
            "--id", self._agent.device, "--state-dir", str(self._data_dir / "agent"), *self._agent.arguments,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"FLEETNAS_TOKEN": self._secret},
            )

    def _keep_agent(self) -> None:
        """The thread that starts the agent again, unless it dies too often to be of use."""
        restarts: list[float] = []
        while not self._ended.wait(0.2):
            if self._process.poll() is None:
                continue
            now = time.monotonic()
            restarts = [one for one in restarts if now - one < 60.0]
            if self._refused() or len(restarts) >= _RESTARTS_A_MINUTE:
                self._ended.set()
                return
            restarts.append(now)
            _end(self._process)
            self._process = self._start_agent()

    def _refused(self) -> bool:
        """Whether the agent ended before it was ever there and said why: it would say so again."""
        return self._process.returncode in _REFUSED and not self._came.is_set()

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "nothing"
        return lines[-1][-300:] if lines else "nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks the agent to end, then makes it, and closes the pipe to it."""
    process.terminate()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
