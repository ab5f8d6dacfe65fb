"""The one job an agent works on."""

__all__ = ["Work"]

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from fleetnas_agents.driver import Driver
from fleetnas_agents.jobs import FaultKind, Job, Lease, MeasureError
from fleetnas_agents.state import AgentState
from fleetnas_agents.wire import report_to_pb
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import ResourceExhaustedError

_log = logging.getLogger(__name__)


class Work:
    """Runs one job at a time and keeps its report before anybody hears of it.

    Args:
        download: Fetches a file by its SHA-256, from an offset on.
        reported: Called with every new report.
    """

    def __init__(
        self,
        driver: Driver,
        state: AgentState,
        download: Callable[[str, int], AsyncIterator[bytes]],
        reported: Callable[[fleet_pb2.Report], None],
    ) -> None:
        self._driver = driver
        self._state = state
        self._download = download
        self._reported = reported
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def lease(self) -> Lease | None:
        """Of the running job."""
        return self._lease

    async def begin(self, job: Job) -> None:
        """Starts a job; one that still runs has lost its device and is stopped."""
        if job.lease == self._lease:
            return
        await self.stop(f"the controller gave {job.lease.measurement} instead")
        self._lease = job.lease
        self._task = asyncio.create_task(self._run(job))

    async def stop(self, reason: str, lease: Lease | None = None) -> None:
        """Stops the running job without a report; only if it is under ``lease`` where one is given."""
        if self._task is None or (lease is not None and lease != self._lease):
            return
        if self._lease is not None:
            _log.info("%s stopped: %s", self._lease.measurement, reason)
        task, self._task, self._lease = self._task, None, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        await self.stop("the agent stops")
        await self._driver.close()

    async def _run(self, job: Job) -> None:
        outcome: tuple[Measurement, Target] | MeasureError
        try:
            outcome = await self._measured(job)
        except MeasureError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - whatever broke in a driver ends the job, not the agent
            _log.exception("%s failed", job.lease.measurement)
            outcome = MeasureError(
                FaultKind.INFRASTRUCTURE, f"the agent failed: {type(error).__name__}: {error}"
            )
        finally:
            # Whatever ended it, even what is no error of ours: a lease that nobody works on must not be renewed.
            if self._task is asyncio.current_task():
                self._lease, self._task = None, None
        self.report(job.lease, outcome)

    def report(self, lease: Lease, outcome: tuple[Measurement, Target] | MeasureError) -> None:
        """Keeps the end of a job and offers it."""
        report = report_to_pb(lease, outcome)
        try:
            self._state.keep_report(report)
        except ResourceExhaustedError as error:
            # It is offered all the same; only an agent that dies before the answer loses it.
            _log.error("%s: %s", lease.measurement, error)
        said = str(outcome) if isinstance(outcome, MeasureError) else str(outcome[0].verdict)
        _log.info("%s: %s", lease.measurement, said)
        self._reported(report)

    async def _measured(self, job: Job) -> tuple[Measurement, Target]:
        try:
            async with asyncio.timeout(job.total_s):
                folder = await self._state.job_folder(job, self._download)
        except TimeoutError:
            raise MeasureError.infrastructure(f"the files did not arrive within {job.total_s:g} s") from None
        try:
            return await self._driver.measure(job, folder)
        finally:
            self._state.drop_job_folder(folder)
