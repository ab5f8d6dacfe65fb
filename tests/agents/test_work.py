"""One job at a time, and its report before anybody hears of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import DeviceDescription, FaultKind, Job, MeasureError
from fleetnas_agents.state import AgentState
from fleetnas_agents.work import Work
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2


class Driver:
    """Fails as told, or waits to be cancelled."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.running = 0

    def describe(self) -> DeviceDescription:
        return DeviceDescription("board", "test", ())

    async def measure(self, job: Job, folder: Path) -> Any:
        assert (folder / job.entry_file).exists()
        self.running += 1
        try:
            if self.failure is not None:
                raise self.failure
            await asyncio.Event().wait()
        finally:
            self.running -= 1

    async def close(self) -> None:
        return None


class Bench:
    def __init__(self, folder: Path, shelf: Any, driver: Driver) -> None:
        self.state = AgentState(folder)
        self.driver = driver
        self.reports: list[fleet_pb2.Report] = []
        self.kept_when_offered: list[int] = []
        self.work = Work(driver, self.state, shelf.download, self._reported)

    def _reported(self, report: fleet_pb2.Report) -> None:
        self.reports.append(report)
        self.kept_when_offered.append(len(self.state.reports()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (MeasureError(FaultKind.MODEL, "refused"), measurement_pb2.Fault.MODEL),
        (RuntimeError("a bug in a driver"), measurement_pb2.Fault.INFRASTRUCTURE),
    ],
)
def test_failure_is_reported_and_kept_first(
    tmp_path: Path, shelf: Any, failure: Exception, kind: int
) -> None:
    bench = Bench(tmp_path, shelf, Driver(failure))

    async def run() -> None:
        await bench.work.begin(shelf.job())
        await until(lambda: bool(bench.reports))

    asyncio.run(run())
    assert bench.reports[0].fault.kind == kind
    assert bench.kept_when_offered == [1]
    assert bench.work.lease is None


def test_job_whose_download_was_cut_off_holds_no_lease(tmp_path: Path, shelf: Any) -> None:
    """A closed channel cancels its calls; a task that dies of it must not leave a lease that is renewed for ever."""
    bench = Bench(tmp_path, shelf, Driver())

    async def cut_off(sha256: str) -> AsyncIterator[bytes]:
        yield b"part"
        raise asyncio.CancelledError

    bench.work = Work(bench.driver, bench.state, cut_off, bench._reported)

    async def run() -> None:
        await bench.work.begin(shelf.job())
        await until(lambda: bench.work.lease is None)

    asyncio.run(run())
    assert list((tmp_path / "jobs").iterdir()) == []


def test_files_that_never_arrive_end_the_attempt(tmp_path: Path, shelf: Any) -> None:
    bench = Bench(tmp_path, shelf, Driver())

    async def stalled(sha256: str, offset_bytes: int) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    bench.work = Work(bench.driver, bench.state, stalled, bench._reported)

    async def run() -> None:
        await bench.work.begin(replace(shelf.job(), total_s=0.05))
        await until(lambda: bool(bench.reports))

    asyncio.run(run())
    assert bench.reports[0].fault.kind == measurement_pb2.Fault.INFRASTRUCTURE
    assert "did not arrive within 0.05 s" in bench.reports[0].fault.message


def test_stopped_job_reports_nothing(tmp_path: Path, shelf: Any) -> None:
    bench = Bench(tmp_path, shelf, Driver())

    async def run() -> None:
        await bench.work.begin(shelf.job())
        await until(lambda: bench.driver.running == 1)
        await bench.work.stop("cancelled")

    asyncio.run(run())
    assert (bench.reports, bench.driver.running, bench.work.lease) == ([], 0, None)


def test_stop_of_another_lease_changes_nothing(
    tmp_path: Path, shelf: Any, next_lease: Callable[[Job], Job]
) -> None:
    bench = Bench(tmp_path, shelf, Driver())
    job = shelf.job()

    async def run() -> None:
        await bench.work.begin(job)
        await bench.work.stop("an old one", next_lease(job).lease)
        assert bench.work.lease == job.lease
        await bench.work.close()

    asyncio.run(run())


def test_newer_job_replaces_the_older(tmp_path: Path, shelf: Any, next_lease: Callable[[Job], Job]) -> None:
    bench = Bench(tmp_path, shelf, Driver())
    job = shelf.job()

    async def run() -> None:
        await bench.work.begin(job)
        await until(lambda: bench.driver.running == 1)
        await bench.work.begin(next_lease(job))
        await until(lambda: bench.driver.running == 1)
        assert bench.work.lease == next_lease(job).lease
        await bench.work.close()

    asyncio.run(run())
    assert bench.driver.running == 0


def test_same_job_again_goes_on(tmp_path: Path, shelf: Any) -> None:
    bench = Bench(tmp_path, shelf, Driver())

    async def run() -> None:
        await bench.work.begin(shelf.job())
        task = bench.work._task
        await bench.work.begin(shelf.job())
        assert bench.work._task is task
        await bench.work.close()

    asyncio.run(run())


def test_report_is_offered_though_the_disk_is_full(
    tmp_path: Path, shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleetnas_search_spaces.errors import ResourceExhaustedError

    bench = Bench(tmp_path, shelf, Driver(MeasureError(FaultKind.MODEL, "refused")))

    def full(report: fleet_pb2.Report) -> None:
        raise ResourceExhaustedError("no space")

    monkeypatch.setattr(bench.state, "keep_report", full)

    async def run() -> None:
        await bench.work.begin(shelf.job())
        await until(lambda: bool(bench.reports))

    asyncio.run(run())
    assert bench.work.lease is None
