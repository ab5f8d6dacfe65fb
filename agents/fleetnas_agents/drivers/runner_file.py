"""The native runner: where it is here, and whether it runs there."""

__all__ = ["file_sha256", "find_runner", "job_command", "runner_of", "runner_version", "version_command"]

import hashlib
import json
import os
import shlex
from pathlib import Path

from fleetnas_agents.shells.shell import Shell
from fleetnas_search_spaces.errors import FailedPreconditionError

_VARIABLE = "FLEETNAS_RUNNERS"
_NAME = "fleetnas-runner"
_PROTOCOL = 3
_VERSION_S = 60.0
_ILLEGAL_INSTRUCTION = 128 + 4
_CANNOT_EXECUTE = 126

# As `uname -m` and Android's ro.product.cpu.abi say it.
_MACHINES = {
    "aarch64": "aarch64",
    "arm64-v8a": "aarch64",
    "armv7l": "armv7",
    "armv8l": "armv7",
    "armeabi-v7a": "armv7",
    "x86_64": "x86_64",
}


def runner_of(machine: str) -> str:
    """Which runner a machine of that name runs.

    Raises:
        FailedPreconditionError: None.
    """
    if machine not in _MACHINES:
        known = ", ".join(sorted(_MACHINES))
        raise FailedPreconditionError(f"there is no runner for the machine '{machine}', only for {known}.")
    return _MACHINES[machine]


def find_runner(place: Path | None, target: str) -> Path:
    """The runner's file on this machine.

    Args:
        place: The file itself, or the folder that holds ``TARGET/fleetnas-runner``; None: the folder in the
            environment's FLEETNAS_RUNNERS, or the checkout's ``build/runner``.

    Raises:
        FailedPreconditionError: It is not built yet.
    """
    if place is None:
        named = os.environ.get(_VARIABLE)
        place = Path(named) if named else Path(__file__).resolve().parents[3] / "build" / "runner"
    path = place / target / _NAME if place.is_dir() else place
    if not path.is_file():
        raise FailedPreconditionError(
            f"no runner for {target} at '{path}': build it with `make runner TARGET={target}`, or say where it is "
            f"with --runner or {_VARIABLE}."
        )
    return path


def version_command(runner: str) -> str:
    return f"{shlex.quote(runner)} --version"


def job_command(runner: str, job_path: str) -> str:
    """Runs one job.

    The shell's own word on how it ended comes last, for not every link brings an exit code along; on a line of its
    own, whatever a crash left of the last one. One pipe for all it says, or a link puts a line of the one stream
    into the middle of a line of the other.
    """
    words = f"{shlex.quote(runner)} --exit-with-stdin {shlex.quote(job_path)}"
    return f"{words} 2>&1; code=$?; echo; echo ended $code"


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def runner_version(shell: Shell, runner: str, target: str) -> str:
    """Runs it once on the device and returns ncnn's version in it.

    Raises:
        FailedPreconditionError: It does not run there.
        LinkError: The link broke.
    """
    answer = shell.run(version_command(runner), timeout_s=_VERSION_S)
    if answer.exit_code == 0:
        try:
            content = json.loads(answer.text)
            if content["protocol"] == _PROTOCOL:
                return str(content["ncnn"])
        except (ValueError, KeyError, TypeError):
            pass
    raise FailedPreconditionError(
        f"the runner for {target} does not run on the device ({_reason(answer.exit_code, answer.text)})."
    )


def _reason(exit_code: int, text: str) -> str:
    said = " ".join(text.split())[:200]
    if exit_code == _ILLEGAL_INSTRUCTION:
        return "illegal instruction: its CPU is older than any this runner is built for"
    if exit_code == _CANNOT_EXECUTE:
        return f"it may not execute files there, choose another --device-folder: {said}"
    if exit_code == 0:
        return f"it is of another version, build it again: {said}"
    return f"exit code {exit_code}: {said or 'no word'}"
