"""A link that breaks, dies or crawls, whoever on the way is to blame."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind, MeasureError

# adbutils leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

CHAT = "while :; do echo progress 1; sleep 0.1; done"
INFRASTRUCTURE, CRASH, MODEL = FaultKind.INFRASTRUCTURE, FaultKind.CRASH, FaultKind.MODEL


async def _pulled(
    driver: Any, device: Any, job: Any, folder: Path, when: Callable[[], Any], until: Any
) -> Any:
    """Pulls the cable as soon as ``when`` holds; returns the fault and measures once more after plugging it in."""
    task = asyncio.create_task(driver.measure(job, folder))
    await asyncio.to_thread(until, when, "the moment to pull the cable")
    device.cable.pull()
    with pytest.raises(MeasureError) as caught:
        await task
    device.cable.plug()
    return caught.value


def test_cable_pulled_in_mid_run_is_a_fault_of_the_infrastructure_and_the_next_job_runs(
    device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    left_in: Any,
    is_measuring: Any,
) -> None:
    job, folder = make_job()
    long = replace(job, plan=replace(job.plan, min_duration_s=30.0, max_duration_s=30.0, max_run_count=10**9))
    driver = make_driver(device, built_runner(), wait_s=15.0)

    def measuring() -> bool:
        return is_measuring(device)

    async def run() -> tuple[MeasureError, Any]:
        fault = await _pulled(driver, device, long, folder, measuring, until)
        # The runner has nobody to talk to any more and ends by itself.
        await asyncio.to_thread(until, lambda: not processes_of(device), "the runner ended itself")
        result, _ = await driver.measure(job, folder)
        await driver.close()
        return fault, result

    fault, result = asyncio.run(run())
    assert fault.kind is INFRASTRUCTURE
    assert result.raw.candidate.wall_ms
    assert not left_in(device)


def test_cable_pulled_while_files_are_copied_leaves_no_half_file_under_a_good_name(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, until: Any, left_in: Any
) -> None:
    job, folder = make_job(change=lambda folder: (folder / "ballast.f32").write_bytes(bytes(20_000_000)))
    driver = make_driver(device, built_runner(), wait_s=15.0)
    driver.describe()
    device.cable.bytes_per_s = 4e6

    def copying() -> bool:
        return any(one.stat().st_size > 0 for one in _parts(device))

    async def run() -> MeasureError:
        fault: MeasureError = await _pulled(driver, device, job, folder, copying, until)
        device.cable.bytes_per_s = 0.0
        await driver.measure(job, folder)
        await driver.close()
        return fault

    assert asyncio.run(run()).kind is INFRASTRUCTURE
    assert not left_in(device)


def _parts(device: Any) -> list[Path]:
    with contextlib.suppress(OSError):
        return list((device.folder / "cache").glob("*.part"))
    return []


@pytest.mark.usefixtures("impatient_links")
def test_device_that_is_not_there_is_waited_for_and_then_a_fault(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, fault_of: Any
) -> None:
    device.cable.pull()
    fault = fault_of(make_driver(device, fake_runner(CHAT), wait_s=0.5), *make_job())
    assert fault.kind is INFRASTRUCTURE


@pytest.mark.usefixtures("impatient_links")
@pytest.mark.parametrize("phase", ["copying", "measuring"])
def test_dead_link_is_not_blamed_on_the_runner(
    phase: str,
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    is_measuring: Any,
) -> None:
    job, folder = make_job(
        silence_s=1.5, change=lambda folder: (folder / "ballast.f32").write_bytes(bytes(20_000_000))
    )
    driver = make_driver(device, fake_runner(CHAT))
    driver.describe()
    device.cable.bytes_per_s = 4e6 if phase == "copying" else 0.0

    def reached() -> bool:
        if phase == "copying":
            return any(one.stat().st_size > 0 for one in _parts(device))
        return is_measuring(device)

    async def run() -> MeasureError:
        task = asyncio.create_task(driver.measure(job, folder))
        await asyncio.to_thread(until, reached, phase)
        device.cable.blocked = True
        with pytest.raises(MeasureError) as caught:
            await task
        device.cable.pull()
        await driver.close()
        return caught.value

    assert asyncio.run(run()).kind is INFRASTRUCTURE


def test_slow_link_is_slow_and_no_fault(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    device.cable.bytes_per_s = 2e6
    job, folder = make_job()

    async def run() -> Any:
        driver = make_driver(device, built_runner())
        try:
            return await driver.measure(job, folder)
        finally:
            await driver.close()

    assert asyncio.run(run())[0].raw.candidate.wall_ms


@pytest.mark.parametrize(
    ("kind", "jump_s"), [("phone", -86_400.0), ("board", 86_400.0)], ids=["back", "ahead"]
)
def test_clock_of_the_agent_that_jumps_in_mid_run_costs_no_measurement(
    kind: str,
    jump_s: float,
    make_device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    is_measuring: Any,
    until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = make_device(kind)
    driver = make_driver(device, built_runner())
    job, folder = make_job(plan=replace(make_job()[0].plan, min_duration_s=1.5, max_duration_s=1.5))

    async def run() -> Any:
        task = asyncio.create_task(driver.measure(job, folder))
        await asyncio.to_thread(until, lambda: is_measuring(device), "the runner measures")
        real = time.time
        monkeypatch.setattr("time.time", lambda: real() + jump_s)
        result, _ = await task
        await driver.close()
        return result

    assert asyncio.run(run()).raw.candidate.wall_ms


def test_daemon_on_the_device_that_dies_in_mid_run_leaves_nothing_and_the_next_job_runs(
    device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    left_in: Any,
    is_measuring: Any,
) -> None:
    """The adb daemon, as in a reboot; the sshd, killed with what serves its sessions."""
    driver = make_driver(device, built_runner(), wait_s=15.0)
    fault = asyncio.run(
        _interrupted(driver, device, make_job(), device.kill, lambda: is_measuring(device), until)
    )
    assert fault.kind is INFRASTRUCTURE
    until(lambda: not processes_of(device), "the runner ended itself")
    device.start()
    asyncio.run(_measured(driver, make_job()))
    assert not left_in(device)


def test_adb_server_that_is_killed_in_mid_run_leaves_nothing_and_the_next_job_runs(
    make_phone: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    left_in: Any,
    is_measuring: Any,
) -> None:
    import adbutils

    phone = make_phone()
    driver = make_driver(phone, built_runner(), wait_s=15.0)

    def kill() -> None:
        subprocess.run([adbutils.adb_path(), "kill-server"], capture_output=True, check=True)

    fault = asyncio.run(_interrupted(driver, phone, make_job(), kill, lambda: is_measuring(phone), until))
    assert fault.kind is INFRASTRUCTURE
    until(lambda: not processes_of(phone), "the runner ended itself")
    # adbutils starts the server again, as a user's next `adb devices` would.
    asyncio.run(_measured(driver, make_job()))
    assert not left_in(phone)


async def _interrupted(
    driver: Any, device: Any, made: Any, interrupt: Callable[[], None], when: Callable[[], Any], until: Any
) -> MeasureError:
    """The fault of a long job that is interrupted as soon as ``when`` holds."""
    job, folder = made
    long = replace(job, plan=replace(job.plan, min_duration_s=30.0, max_duration_s=30.0, max_run_count=10**9))
    task = asyncio.create_task(driver.measure(long, folder))
    await asyncio.to_thread(until, when, "the moment to interrupt")
    await asyncio.to_thread(interrupt)
    with pytest.raises(MeasureError) as caught:
        await task
    return caught.value


async def _measured(driver: Any, made: Any) -> None:
    try:
        await driver.measure(*made)
    finally:
        await driver.close()
