"""The clocks of a phone or a board, which one agent at a time may hold, wherever it runs."""

__all__ = ["device_clocks"]

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetnas_agents.clocks.files import ShellClockFiles
from fleetnas_agents.clocks.lock import ClockSettings, locked_clocks
from fleetnas_search_spaces.errors import FailedPreconditionError, FleetNASError

_log = logging.getLogger(__name__)


@contextmanager
def device_clocks(
    files: ShellClockFiles, settings: ClockSettings | None, journal: Path, owner: str
) -> Iterator[None]:
    """``locked_clocks`` of a device with a shell.

    The device itself says who holds its clocks, for as long as its kernel runs: a second agent would take the held
    clocks for the usual ones. The journal stays with the agent and bears the device's name and the kernel's.

    Args:
        settings: None: only puts back what was left; no link is opened when nothing was.
        owner: Letters and digits, the same whenever this agent starts.

    Raises:
        FailedPreconditionError: Another agent holds the clocks, or this user may not.
        DataLossError: The journal is broken.
    """
    if settings is None and not journal.is_file():
        yield
        return
    kernel = files.kernel()
    holder = files.claim(owner, kernel)
    if holder != owner:
        if settings is not None:
            raise FailedPreconditionError(
                f"--lock-clocks: another agent ({holder}) holds this device's clocks: start this one without it. If "
                f"that agent never comes back, restart the device, or remove '{files.claim_path(kernel)}' there."
            )
        _log.warning("another agent (%s) holds the device's clocks; '%s' stays", holder, journal)
        yield
        return
    try:
        with locked_clocks(files, settings, journal, kernel):
            yield
    finally:
        if not journal.is_file():
            _release(files, owner, kernel)


def _release(files: ShellClockFiles, owner: str, kernel: tuple[str, str]) -> None:
    try:
        files.release(owner, kernel)
    except FleetNASError as error:
        _log.warning("the device still says that this agent holds its clocks (%s)", error)
