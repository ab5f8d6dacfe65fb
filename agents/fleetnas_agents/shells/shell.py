"""What a device with a command line can do for an agent. Every wait is bounded."""

__all__ = [
    "Finished",
    "LinkError",
    "Opener",
    "RemoteError",
    "Shell",
    "Stream",
    "split_exit_code",
    "with_exit_code",
]

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fleetnas_search_spaces.errors import FleetNASError, UnavailableError

_TRAILER = "fleetnas-exit-code "


class LinkError(UnavailableError):
    """The device cannot be reached, or the link broke; trying again may help."""


class RemoteError(FleetNASError):
    """The link works and the device refuses: no space, no permission, no such folder."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended.

    Attributes:
        text: Standard output and standard error, as they came.
    """

    exit_code: int
    text: str


class Stream(Protocol):
    """A running command's output. Closing it ends the command's input, by which the runner ends itself."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one byte; ``b""`` at the end.

        Raises:
            TimeoutError: Nothing came in time; the command still runs.
            LinkError: The link broke.
        """
        ...

    def close(self) -> None: ...


class Shell(Protocol):
    """A link to one device. ``tests/stand_ins/test_shells.py`` holds what every shell promises.

    All methods block; drivers call them from a thread. After a LinkError the shell is of no more use.
    """

    def run(self, command: str, *, timeout_s: float) -> Finished:
        """Runs a line of POSIX shell to its end.

        Raises:
            LinkError: The link broke, or no end in time.
        """
        ...

    def start(self, command: str) -> Stream:
        """Starts a line of POSIX shell.

        Raises:
            LinkError: The link broke.
        """
        ...

    def push(self, local: Path, remote: str, *, silence_s: float, progress: Callable[[], None]) -> None:
        """Copies a file; what was there before is replaced.

        Args:
            silence_s: The longest time without a byte that got through.
            progress: Called after each piece; what it raises ends the copy.

        Raises:
            RemoteError: The device refuses.
            LinkError: The link broke.
        """
        ...

    def close(self) -> None:
        """Never fails; closing twice is closing once."""
        ...


Opener = Callable[[Callable[[], None]], Shell]
"""Opens a link to one device, waiting a bounded time for it; calls its argument while it waits, and what that raises
ends the wait. Raises LinkError, or another FleetNASError where a person has to do something."""


def with_exit_code(command: str) -> str:
    """For links that carry no exit code: the command prints it after its output."""
    return f"({command}) 2>&1; echo {_TRAILER}$?"


def split_exit_code(output: str) -> Finished:
    """Inverse of ``with_exit_code``; raises LinkError when it is missing, for then the output is not whole."""
    text, found, code = output.replace("\r\n", "\n").rpartition(_TRAILER)
    if not found or not code.strip().isdigit():
        raise LinkError(
            "the device's answer ended too early: check the cable or the network, then try again."
        )
    return Finished(int(code), text)
