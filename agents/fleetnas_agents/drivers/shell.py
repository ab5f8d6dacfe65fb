"""Devices with a command line: the native runner, pushed there and run."""

__all__ = ["Profile", "ShellDriver", "ShellOptions", "cores_of"]

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fleetnas_agents.drivers.android_facts import battery_energy
from fleetnas_agents.drivers.attempt import Attempt
from fleetnas_agents.drivers.cores import big_cores, core_text
from fleetnas_agents.drivers.native_networks import NativeNetworks
from fleetnas_agents.drivers.runner_file import file_sha256, find_runner, job_command, runner_version
from fleetnas_agents.drivers.runner_output import RunnerOutput
from fleetnas_agents.jobs import DeviceDescription, Job, MeasureError, model_at
from fleetnas_agents.ncnn_job import RunnerFiles, job_text
from fleetnas_agents.runner_answer import measurement_of
from fleetnas_agents.shells.files import DeviceFolder
from fleetnas_agents.shells.shell import LinkError, Opener, RemoteError, Shell
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FleetNASError
from fleetnas_search_spaces.operators import Precision

_log = logging.getLogger(__name__)

_POLL_S = 0.25
_KILL_S = 5.0
_SETUP_S = 120.0  # of the first connection, before there is a job with limits of its own
_GRACE_S = 5.0  # the agent ends a job before the runner's own alarm does


class Profile(Protocol):
    """What differs between kinds of device."""

    @property
    def kind(self) -> str: ...

    def identify(self, shell: Shell) -> tuple[str, str]:
        """Model, and which runner the device runs (``"aarch64"``, ``"armv7"``, ``"x86_64"``).

        Raises:
            FailedPreconditionError: There is no runner for such a device.
            LinkError: The link broke.
        """
        ...

    def facts(self, shell: Shell) -> Mapping[str, str]:
        """What only this kind can tell around a measurement, e.g. the battery; raises LinkError."""
        ...


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """How a device is used.

    Attributes:
        folder: Of the agent, on the device.
        owner: Tells this agent's leavings there from those of another.
        runner: A runner, or the folder that ``make runner`` fills; None: the checkout's own.
        cores: None: the fastest ones.
        stand_in: What replaces a real device, e.g. ``"qemu"``; empty for a real one.
        clock: What its cores are held at, as in ``model_at``.
    """

    folder: str
    runner: Path | None = None
    cores: tuple[int, ...] | None = None
    thread_count: int = 1
    labels: tuple[tuple[str, str], ...] = ()
    stand_in: str = ""
    clock: str = ""
    owner: str = "agent"


def cores_of(shell: Shell, options: ShellOptions) -> tuple[int, ...]:
    """Those that were asked for, else the fastest; raises LinkError."""
    return big_cores(shell) if options.cores is None else options.cores


@dataclass(frozen=True, slots=True)
class _Session:
    """A device that is ready to measure.

    Attributes:
        runner: Its path there.
        runner_file: Its digest and its path here.
    """

    shell: Shell
    folder: DeviceFolder
    runner: str
    runner_file: tuple[str, Path]
    model: str
    cores: tuple[int, ...]
    version: str


class ShellDriver:
    """Measures in the native runner over a ``Shell``.

    The link and what was pushed live from job to job. A link that breaks ends the job with an infrastructure fault,
    and the next job opens another; the runner on the device ends itself with its input.
    """

    def __init__(self, open_shell: Opener, profile: Profile, options: ShellOptions) -> None:
        self._open_shell = open_shell
        self._profile = profile
        self._options = options
        self._session: _Session | None = None
        self._described: Target | None = None

    def describe(self) -> DeviceDescription:
        session = self._connected(Attempt(_SETUP_S, _SETUP_S))
        targets = tuple(self._target(session, one) for one in Statistic)
        self._described = targets[0]
        return DeviceDescription(
            session.model, self._profile.kind, targets, self._options.labels, batches=True
        )

    async def measure(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        attempt = Attempt(job.total_s, job.silence_s)
        work = asyncio.get_running_loop().run_in_executor(None, self._measure, job, folder, attempt)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The thread sees it at its next poll, stops the runner and cleans up; nothing may be left behind.
            attempt.stopping.set()
            with contextlib.suppress(MeasureError):
                await work
            raise

    async def close(self) -> None:
        self._drop_session()

    def _measure(self, job: Job, folder: Path, attempt: Attempt) -> tuple[Measurement, Target]:
        try:
            networks = NativeNetworks.read(job, folder)
            return self._measure_on(self._connected(attempt), job, folder, networks, attempt)
        except MeasureError:
            raise
        except (LinkError, RemoteError) as error:
            # A folder that somebody took away is made again with the next session.
            self._drop_session()
            raise MeasureError.infrastructure(str(error)) from error
        except FleetNASError as error:
            raise MeasureError.infrastructure(str(error)) from error

    def _measure_on(
        self,
        session: _Session,
        job: Job,
        folder: Path,
        networks: NativeNetworks,
        attempt: Attempt,
    ) -> tuple[Measurement, Target]:
        with tempfile.TemporaryDirectory() as scratch:
            files = self._push(session, job, folder, Path(scratch), networks, attempt)
            with session.folder.job() as place:
                text = job_text(
                    files, job.plan, session.cores, attempt.left_s + _GRACE_S, seed=job.lease.measurement
                )
                (Path(scratch) / "job").write_text(text, encoding="utf-8")
                session.shell.push(
                    Path(scratch) / "job", f"{place}/job", silence_s=attempt.silence_s, progress=attempt.check
                )
                before = self._profile.facts(session.shell)
                answer = self._run(session, job, f"{place}/job", attempt)
                facts = _merged(before, self._profile.facts(session.shell))
        facts |= {"runtime": "ncnn", "runtime_version": session.version}
        own_facts = [{"precision": one} for one in networks.precisions]
        measurement = measurement_of(answer, job.plan, facts, own_facts)
        # The battery's charge is that of everything that ran.
        alone = networks.anchor is None and len(networks.candidates) == 1
        energy = battery_energy(before, facts, measurement.raw.inference_count if alone else 0)
        evidence = tuple(sorted((dict(measurement.evidence) | energy).items()))
        target = self._target(session, job.plan.statistic, networks.precisions[0])
        return replace(measurement, evidence=evidence), target

    def _push(
        self,
        session: _Session,
        job: Job,
        folder: Path,
        scratch: Path,
        networks: NativeNetworks,
        attempt: Attempt,
    ) -> RunnerFiles:
        (scratch / "input").write_bytes(networks.input)
        digests = {one.path: one.sha256 for one in job.files}
        # The runner too: it counts as used, and is copied again should somebody have deleted it.
        local = dict([session.runner_file]) | {sha256: folder / path for path, sha256 in digests.items()}
        input_sha256 = file_sha256(scratch / "input")
        remote = session.folder.put(
            local | {input_sha256: scratch / "input"}, silence_s=attempt.silence_s, progress=attempt.check
        )
        places = {path: remote[sha256] for path, sha256 in digests.items()}
        return networks.placed(places, remote[input_sha256], session.folder.lock)

    def _run(self, session: _Session, job: Job, job_path: str, attempt: Attempt) -> str:
        """The runner's ``result`` line."""
        output = RunnerOutput()
        stream = session.shell.start(job_command(session.runner, job_path))
        try:
            heard_s = time.monotonic()
            while not output.ended:
                attempt.check()
                if time.monotonic() - heard_s > attempt.silence_s:
                    # A link that went dead looks like a runner that hangs, until something else is asked.
                    session.shell.run(":", timeout_s=_KILL_S)
                    raise output.silence(attempt.silence_s)
                try:
                    part = stream.read(_POLL_S)
                except TimeoutError:
                    continue
                heard_s = time.monotonic()
                output.feed(part)
            return output.result()
        except BaseException as error:
            stream.close()
            self._kill(session, output.pid)
            if isinstance(error, MeasureError):
                raise error.in_batch(job, output.network) from error
            raise
        finally:
            stream.close()

    def _kill(self, session: _Session, pid: int) -> None:
        """The runner ends with its input; where a link keeps that open, or it hangs, by force."""
        if pid:
            with contextlib.suppress(LinkError):
                session.shell.run(f"kill -9 {pid}", timeout_s=_KILL_S)

    def _connected(self, attempt: Attempt) -> _Session:
        if self._session is None:
            shell = self._open_shell(attempt.check)
            try:
                self._session = self._set_up(shell, attempt)
            except BaseException:
                shell.close()
                raise
        return self._session

    def _set_up(self, shell: Shell, attempt: Attempt) -> _Session:
        model, machine = self._profile.identify(shell)
        local = find_runner(self._options.runner, machine)
        folder = DeviceFolder(shell, self._options.folder, self._options.owner)
        folder.prepare()
        sha256 = file_sha256(local)
        runner = folder.put({sha256: local}, silence_s=attempt.silence_s, progress=attempt.check)[sha256]
        version = runner_version(shell, runner, machine)
        session = _Session(
            shell, folder, runner, (sha256, local), model, cores_of(shell, self._options), version
        )
        target = self._target(session, Statistic.WALL_MEDIAN)
        if self._described is not None and target.key != self._described.key:
            raise MeasureError.infrastructure(
                f"the device is now '{target.key}', it was '{self._described.key}': start its agent again."
            )
        _log.info(
            "%s: %s with ncnn %s on cores %s", self._profile.kind, model, version, target.core_set or "any"
        )
        return session

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.shell.close()

    def _target(
        self, session: _Session, statistic: Statistic, precision: Precision = Precision.FP32
    ) -> Target:
        return Target(
            device_model=model_at(session.model, self._options.clock),
            runtime="ncnn",
            runtime_version=session.version,
            thread_count=self._options.thread_count,
            core_set=core_text(session.cores),
            precision=precision,
            statistic=statistic,
            stand_in=self._options.stand_in,
        )


def _merged(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    changed = {f"{name}_before": value for name, value in before.items() if after.get(name) != value}
    return changed | dict(after)
