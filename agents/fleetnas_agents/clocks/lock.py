"""Fixes the frequency of a device's cores, and puts back what was there before, after a crash too."""

__all__ = ["CLOCK_NAMES", "ClockFiles", "ClockSettings", "locked_clocks"]

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError, FleetNASError
from fleetnas_search_spaces.whole_files import write_whole

_log = logging.getLogger(__name__)
_GOVERNOR, _LOWEST, _HIGHEST = CLOCK_NAMES = ("scaling_governor", "scaling_min_freq", "scaling_max_freq")
_PATH = re.compile(rf"policy\d+/({'|'.join(CLOCK_NAMES)})")


class ClockFiles(Protocol):
    """The kernel's cpufreq files of a device. Every call may raise a FleetNASError when it is out of reach."""

    def read(self) -> dict[str, str]:
        """Governor, lowest and highest frequency of each cluster by path (``"policy0/scaling_governor"``)."""
        ...

    def write(self, path: str, value: str) -> bool:
        """Whether the kernel took it."""
        ...


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """What the cores are held at.

    Attributes:
        khz: Lowest and highest frequency of every core; 0: what the governor ``performance`` makes of the limits that
            are there.
    """

    khz: int = 0

    @property
    def name(self) -> str:
        """As in a target: ``"performance"`` or ``"1200000kHz"``."""
        return f"{self.khz}kHz" if self.khz else "performance"

    def wanted(self, found: Mapping[str, str]) -> dict[str, str]:
        """What to write, by path."""
        values = {path: "performance" for path in found if path.endswith(_GOVERNOR)}
        if self.khz:
            values |= {path: str(self.khz) for path in found if path.endswith((_LOWEST, _HIGHEST))}
        return values


@contextmanager
def locked_clocks(
    files: ClockFiles, settings: ClockSettings | None, journal: Path, kernel: tuple[str, str] = ("", "")
) -> Iterator[None]:
    """Holds the clocks while it lasts.

    The values from before are in ``journal`` before the first of them is changed, so whoever starts next on that
    journal puts them back, whatever became of this process.

    Args:
        settings: None: only puts back what an earlier process left.
        kernel: Names of the device and of the run of its kernel, which a journal is of; empty: not known.

    Raises:
        FailedPreconditionError: The device has no such files, or not for this user, or the journal is of another
            device; everything is as it was.
        DataLossError: The journal is broken.
    """
    _put_back(files, journal, kernel)
    if settings is None:
        yield
        return
    _lock(files, settings, journal, kernel)
    try:
        yield
    finally:
        try:
            _put_back(files, journal, kernel)
        except FleetNASError as error:
            _log.error("the clocks are still locked (%s); the next start of this agent puts them back", error)


def _lock(files: ClockFiles, settings: ClockSettings, journal: Path, kernel: tuple[str, str]) -> None:
    found = files.read()
    wanted = settings.wanted(found)
    if not wanted:
        raise FailedPreconditionError(
            "--lock-clocks: the device shows no frequencies of its cores (a virtual machine?): start without it."
        )
    _write_journal(journal, found, kernel)
    refused = _write_all(files, {path: value for path, value in wanted.items() if found[path] != value})
    if refused:
        _put_back(files, journal, kernel)
        path, value = next(iter(refused.items()))
        raise FailedPreconditionError(
            f"--lock-clocks: the kernel refuses '{value}' for {path}: it takes root, a governor 'performance', and a "
            "frequency that the cores have."
        )
    _log.info("clocks locked at %s", settings.name)


def _put_back(files: ClockFiles, journal: Path, kernel: tuple[str, str]) -> None:
    """What the journal holds; it is gone when all of it is back."""
    if not journal.is_file():
        return
    before, (device, boot) = _read_journal(journal)
    if device and kernel[0] and device != kernel[0]:
        raise FailedPreconditionError(
            f"'{journal}' says what the clocks of another device were ({device}; this one is {kernel[0]}): start the "
            "agent of that device once, with its own --state-dir, or delete the file."
        )
    if boot and kernel[1] and boot != kernel[1]:
        _log.info("the device has started anew, which put its clocks back")
        journal.unlink()
        return
    now = files.read()
    refused = _write_all(files, {path: value for path, value in before.items() if now.get(path) != value})
    if refused:
        # Another kernel since, or a core that is off: nothing that a later try would mend.
        _log.warning("the kernel refuses what the clocks were before: %s", refused)
    journal.unlink()


def _write_all(files: ClockFiles, values: Mapping[str, str]) -> dict[str, str]:
    """Writes in any order that works, for no limit may pass the other; returns what is refused in every order."""
    left = dict(values)
    while left:
        done = [path for path, value in left.items() if files.write(path, value)]
        if not done:
            break
        for path in done:
            del left[path]
    return left


def _write_journal(journal: Path, values: Mapping[str, str], kernel: tuple[str, str]) -> None:
    content = {"version": 1, "device": kernel[0], "boot": kernel[1], "values": dict(values)}
    try:
        write_whole(journal, json.dumps(content).encode())
    except OSError as error:
        raise FailedPreconditionError(
            f"'{journal}' cannot be written ({error.strerror}), so the clocks could not be put back: free some space."
        ) from error


def _read_journal(journal: Path) -> tuple[dict[str, str], tuple[str, str]]:
    """The values, and the kernel that they are of; journals of earlier versions do not say."""
    try:
        content = json.loads(journal.read_text(encoding="utf-8"))
        if content["version"] != 1:
            raise ValueError("another version wrote it")
        values = {str(path): str(value) for path, value in content["values"].items()}
        for path in values:
            if not _PATH.fullmatch(path):
                raise ValueError(f"'{path}' is no frequency")
        return values, (str(content.get("device", "")), str(content.get("boot", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataLossError(
            f"'{journal}', which says what the clocks were, cannot be read ({error}): set the governors yourself and "
            "delete it."
        ) from error
