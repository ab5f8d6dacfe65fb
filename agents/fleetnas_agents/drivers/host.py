"""The machine the agent runs on, through a worker process."""

__all__ = ["HostDriver"]

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fleetnas_agents.evidence import cpu_model
from fleetnas_agents.frames import FrameKind, pack_frame, read_frame_async
from fleetnas_agents.jobs import DeviceDescription, FaultKind, Job, MeasureError, model_at
from fleetnas_agents.runtimes.registry import installed_runtimes, runtime_of
from fleetnas_agents.wire import plan_bytes, result_of_bytes
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.statistics import Series, Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError
from fleetnas_search_spaces.operators import Precision

_END_WAIT_S = 1.0


class HostDriver:
    """Measures in the runtimes that are installed, in a child process pinned to as many cores as a job has threads.

    The child lives from job to job, since importing a runtime takes half a second; it is killed when a job
    is cancelled, hangs, or lasts too long, and the next job starts another.

    Args:
        core: None: the last core this process may use, which interrupts and other work use least; -1: any.
        thread_count: The most threads a job may ask for; more cores are taken from the last ones on.
        clock: What the cores are held at, as in ``model_at``.
        command: Starts the worker; tests put a broken one here.

    Raises:
        InvalidArgumentError: This process may not use that core, or so many.
    """

    def __init__(
        self,
        *,
        core: int | None = None,
        thread_count: int = 1,
        labels: tuple[tuple[str, str], ...] = (),
        clock: str = "",
        command: Sequence[str] = (sys.executable, "-m", "fleetnas_agents.worker"),
    ) -> None:
        self._cores = _core_set(core, thread_count)
        self._thread_count = thread_count
        self._labels = labels
        self._clock = clock
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None

    def describe(self) -> DeviceDescription:
        targets = tuple(
            self._target(name, version, one, thread_count)
            for name, version in installed_runtimes().items()
            for thread_count in sorted({1, self._thread_count})
            for one in Statistic
            if thread_count == 1 or one.series is Series.WALL
        )
        return DeviceDescription(cpu_model(), "host", targets, self._labels, batches=True)

    async def measure(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        installed = installed_runtimes()
        runtime = job.runtime or next(iter(installed))
        self._check(job, runtime)
        _, anchor = job.paths(folder)
        head = {
            "runtime": runtime,
            "models": [str(folder / one) for one in job.entry_files],
            "anchor": str(anchor or ""),
            "anchor_key": job.file(job.anchor_entry_file).sha256 if anchor else "",
            "seed": job.lease.measurement,
            "profile": job.profile,
        }
        frame = pack_frame(FrameKind.JOB, json.dumps(head).encode() + b"\n" + plan_bytes(job.plan))
        try:
            measurement = await self._exchange(frame, job)
        except BaseException:
            # The worker is in the middle of something: cancelled, hung or gone. Nothing of it can be reused.
            await self.close()
            raise
        precision = Precision(dict(measurement.evidence).get("precision", Precision.FP32))
        target = self._target(
            runtime, installed[runtime], job.plan.statistic, job.plan.thread_count, precision
        )
        return measurement, target

    def _check(self, job: Job, runtime: str) -> None:
        if job.plan.thread_count > self._thread_count:
            raise MeasureError(
                FaultKind.MODEL,
                f"{job.plan.thread_count} threads were asked for and this agent lends {self._thread_count}: start "
                f"it with --threads {job.plan.thread_count}.",
            )
        try:
            runtime_of(runtime).version()
        except FleetNASError as error:
            raise MeasureError(FaultKind.MODEL, str(error)) from error

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _exchange(self, frame: bytes, job: Job) -> Measurement:
        process, number = await self._started(), 0
        assert process.stdin is not None  # both were asked for as pipes
        assert process.stdout is not None
        process.stdin.write(frame)
        end_s = time.monotonic() + job.total_s
        while True:
            limit_s = min(job.silence_s, end_s - time.monotonic())
            try:
                answer = await asyncio.wait_for(read_frame_async(process.stdout), max(limit_s, 0.0))
            except TimeoutError:
                text = f"the runtime gave no sign of life for {job.silence_s:g} s or no result in {job.total_s:g} s"
                raise MeasureError(FaultKind.CRASH, f"{text}; it was killed.").in_batch(job, number) from None
            if answer is None:
                end = MeasureError(FaultKind.CRASH, f"the runtime's process {await _end_of(process)}.")
                raise end.in_batch(job, number)
            kind, payload = answer
            if kind is FrameKind.RESULT:
                return result_of_bytes(payload)
            if kind is FrameKind.FAULT:
                fault = json.loads(payload)
                raise MeasureError(FaultKind(fault["kind"]), fault["message"]).in_batch(job, number)
            if payload.isdigit():
                number = int(payload)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            arguments = (*self._command, ",".join(map(str, self._cores or (-1,))))
            environment = os.environ | {"OMP_NUM_THREADS": str(self._thread_count)}
            environment.pop("FLEETNAS_TOKEN", None)
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
        return self._process

    def _target(
        self,
        runtime: str,
        version: str,
        statistic: Statistic,
        thread_count: int,
        precision: Precision = Precision.FP32,
    ) -> Target:
        return Target(
            device_model=model_at(cpu_model(), self._clock),
            runtime=runtime,
            runtime_version=version,
            thread_count=thread_count,
            core_set=",".join(map(str, self._cores[-thread_count:])),
            precision=precision,
            statistic=statistic,
        )


def _core_set(core: int | None, thread_count: int) -> tuple[int, ...]:
    """The wanted core last, the others before it; empty where processes cannot be pinned or -1 was asked for."""
    if not hasattr(os, "sched_getaffinity") or (core is not None and core < 0):
        return ()
    usable = sorted(os.sched_getaffinity(0))
    last = usable[-1] if core is None else core
    if last not in usable:
        raise InvalidArgumentError(
            f"--core {last} is none that this process may use: {', '.join(map(str, usable))}."
        )
    cores = [*[one for one in usable if one != last], last]
    if thread_count > len(cores):
        raise InvalidArgumentError(
            f"--threads {thread_count} needs as many cores and this process may use {len(cores)}: give fewer."
        )
    return tuple(cores[-thread_count:])


async def _end_of(process: asyncio.subprocess.Process) -> str:
    """How a process ended that sent its last frame; one that goes on sends something else."""
    try:
        code = await asyncio.wait_for(process.wait(), _END_WAIT_S)
    except TimeoutError:
        return "sent what is no answer; it was killed"
    return f"ended with signal {-code}" if code < 0 else f"ended with exit code {code}"
