"""What an agent would do on its device: the real steps, on a shell that only notes them down."""

__all__ = ["Copy", "Rehearsal", "RehearsingShell", "rehearse_device", "rehearse_host"]

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleetnas_agents.driver import Driver
from fleetnas_agents.drivers.cores import core_text
from fleetnas_agents.drivers.runner_file import file_sha256, find_runner, job_command, version_command
from fleetnas_agents.drivers.shell import Profile, ShellOptions, cores_of
from fleetnas_agents.shells.files import DeviceFolder
from fleetnas_agents.shells.shell import Finished, Opener, Stream
from fleetnas_search_spaces.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that would be pushed."""

    source: str
    place: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen.

    Attributes:
        kind: The driver.
        runs: Program or runtimes, with what is known of their versions.
        core_set: E.g. ``"4-7"``; empty: not pinned.
        copies: Before the first job; each job's own files follow under their digests, unless they are there.
        commands: On the device, in order.
    """

    model: str
    kind: str
    runs: str
    core_set: str
    thread_count: int
    copies: Sequence[Copy]
    commands: Sequence[str]

    def text(self) -> str:
        """For people, a line for each step."""
        lines = [
            f"device    {self.model} ({self.kind})",
            f"runs      {self.runs}",
            f"cores     {self.core_set or 'any'}, {self.thread_count} thread(s)",
            *(f"copies    {one.source} -> {one.place}" for one in self.copies),
            *(f"          sha256 {one.sha256}, {one.size_bytes} bytes" for one in self.copies),
            *(f"commands  {one}" for one in self.commands),
            "nothing was copied or run; no controller was asked",
        ]
        return "\n".join(lines)


@dataclass(slots=True)
class RehearsingShell:
    """A ``Shell`` that does nothing and whose every command succeeds without a word."""

    commands: list[str] = field(default_factory=list)

    def run(self, command: str, *, timeout_s: float) -> Finished:
        self.commands.append(command)
        return Finished(0, "")

    def start(self, command: str) -> Stream:
        raise InvalidArgumentError(f"'{command}' cannot be started in a rehearsal: note it by run().")

    def push(self, local: Path, remote: str, *, silence_s: float, progress: Callable[[], None]) -> None:
        self.commands.append(f"(copy {local} to {remote})")

    def close(self) -> None:
        return None


def rehearse_device(open_shell: Opener, profile: Profile, options: ShellOptions) -> Rehearsal:
    """What a phone's or a board's agent would do. Asks the device what it is, and changes nothing there.

    Raises:
        FailedPreconditionError: There is no runner for such a device, or it is not built.
        LinkError: It cannot be reached.
    """
    shell = open_shell(lambda: None)
    try:
        model, machine = profile.identify(shell)
        cores = cores_of(shell, options)
    finally:
        shell.close()
    local = find_runner(options.runner, machine)
    noted = RehearsingShell()
    folder = DeviceFolder(noted, options.folder, options.owner)
    folder.prepare()
    sha256 = file_sha256(local)
    place = folder.put({sha256: local}, silence_s=0.0, progress=lambda: None)[sha256]
    noted.run(version_command(place), timeout_s=0.0)
    job = folder.new_job()
    noted.run(job_command(place, f"{job}/job"), timeout_s=0.0)
    folder.drop_job(job)
    return Rehearsal(
        model=model,
        kind=profile.kind,
        runs=f"the runner for {machine}",
        core_set=core_text(cores),
        thread_count=options.thread_count,
        copies=(Copy(str(local), place, sha256, local.stat().st_size),),
        commands=tuple(noted.commands),
    )


def rehearse_host(driver: Driver) -> Rehearsal:
    """What an agent of this machine itself would do: nothing is pushed, one process is started."""
    description = driver.describe()
    targets = description.targets
    widest = max(targets, key=lambda one: one.thread_count)
    runtimes = sorted({f"{one.runtime} {one.runtime_version}" for one in targets})
    return Rehearsal(
        model=description.model,
        kind=description.kind,
        runs=", ".join(runtimes),
        core_set=widest.core_set,
        thread_count=widest.thread_count,
        copies=(),
        commands=(f"{sys.executable} -m fleetnas_agents.worker {widest.core_set or '-1'}",),
    )
