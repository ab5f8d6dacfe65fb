"""The native runner: where it is here, and whether it runs there."""

__all__ = ["find_runner", "runner_of", "runner_version"]

import json
import os
import shlex
from pathlib import Path

from fleetnas_agents.shells.shell import Shell
from fleetnas_search_spaces.errors import FailedPreconditionError

_VARIABLE = "FLEETNAS_RUNNERS"
_NAME = "fleetnas-runner"
_PROTOCOL = 1
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


def runner_version(shell: Shell, runner: str, target: str) -> str:
    """Runs it once on the device and returns ncnn's version in it.

    Raises:
        FailedPreconditionError: It does not run there.
        LinkError: The link broke.
    """
    answer = shell.run(f"{shlex.quote(runner)} --version", timeout_s=_VERSION_S)
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
