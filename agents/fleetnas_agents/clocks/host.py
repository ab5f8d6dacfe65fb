"""The clocks of this machine, which one process at a time may hold."""

__all__ = ["host_clocks"]

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fleetnas_agents.clocks.files import HostClockFiles
from fleetnas_agents.clocks.lock import ClockSettings, locked_clocks
from fleetnas_search_spaces.errors import FailedPreconditionError


@contextmanager
def host_clocks(settings: ClockSettings | None, root: Path = Path("/")) -> Iterator[None]:
    """``locked_clocks`` of this machine.

    The journal is in ``/run``: of the machine and not of one agent, so that any agent's next start puts back what a
    killed one left; only root writes it, and a new start of the machine, which resets the clocks, empties it.

    Args:
        settings: None: only puts back what was left, where that may be done.
        root: Where ``run`` and ``sys`` are.

    Raises:
        FailedPreconditionError: Another agent holds the clocks, or this user may not.
        DataLossError: The journal is broken.
    """
    files, journal = HostClockFiles(root), root / "run/fleetnas-clocks.json"
    if settings is None:
        if journal.is_file():
            _put_back_if_free(files, journal)
        yield
        return
    with _held(journal), locked_clocks(files, settings, journal):
        yield


def _put_back_if_free(files: HostClockFiles, journal: Path) -> None:
    try:
        lock = _held(journal)
    except FailedPreconditionError:
        return  # another agent's, or root's, who will see to it
    with lock, locked_clocks(files, None, journal):
        pass


def _held(journal: Path) -> TextIO:
    """An open file that is locked until it is closed."""
    try:
        lock = journal.with_suffix(".lock").open("a", encoding="ascii")
    except OSError as error:
        raise FailedPreconditionError(
            f"--lock-clocks needs root ('{journal}' cannot be written: {error.strerror}): start without it."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FailedPreconditionError(
            "--lock-clocks: another agent holds this machine's clocks: start this one without it."
        ) from error
    return lock
