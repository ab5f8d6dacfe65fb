"""The folder on a device: full, forbidden, shared, taken away."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.disks import fill

from fleetnas_agents.jobs import FaultKind
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
)

# adbutils leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

CHAT = "while :; do echo progress 1; sleep 0.1; done"
INFRASTRUCTURE = FaultKind.INFRASTRUCTURE


def test_full_disk_on_the_device_is_said_with_numbers_and_leaves_nothing(
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    small_disk: Any,
    fault_of: Any,
    left_in: Any,
) -> None:
    small_disk(device.folder, 512)
    job, folder = make_job(change=lambda folder: (folder / "ballast.f32").write_bytes(bytes(2_000_000)))
    fault = fault_of(make_driver(device, fake_runner(CHAT)), job, folder)
    assert fault.kind is INFRASTRUCTURE
    assert "KiB are free" in str(fault)
    assert not left_in(device)


def test_folder_that_cannot_be_made_is_said_with_the_cure(
    device: Any, make_driver: Any, fake_runner: Any
) -> None:
    (device.home / "file").write_text("in the way")
    with pytest.raises(FleetNASError, match="--device-folder"):
        make_driver(device, fake_runner(CHAT), folder=f"{device.home}/file/folder").describe()


def test_runner_that_may_not_execute_is_said_with_the_cure(
    device: Any, make_driver: Any, fake_runner: Any, small_disk: Any
) -> None:
    small_disk(device.folder, 1024)
    subprocess.run(["mount", "-o", "remount,noexec", str(device.folder)], check=True)
    with pytest.raises(FailedPreconditionError, match="may not execute files there"):
        make_driver(device, fake_runner(CHAT)).describe()


def _remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


# What befalls the folder of an agent that is at work already, and how it ends.
MISHAPS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "it fills up": (fill, lambda place: (place / "ballast").unlink()),
    "it may no longer be written": (lambda place: _remount(place, "ro"), lambda place: _remount(place, "rw")),
    "its jobs are taken away": (lambda place: shutil.rmtree(place / "jobs"), lambda place: None),
    "its cache is taken away": (lambda place: shutil.rmtree(place / "cache"), lambda place: None),
}


@pytest.mark.usefixtures("impatient_links")
@pytest.mark.parametrize("case", MISHAPS)
def test_folder_that_goes_bad_ends_a_job_and_serves_the_next_once_it_is_good_again(
    case: str,
    device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    small_disk: Any,
    fault_of: Any,
    left_in: Any,
    processes_of: Any,
) -> None:
    go_bad, mend = MISHAPS[case]
    small_disk(device.folder, 6144)
    driver = make_driver(device, built_runner())
    driver.describe()
    go_bad(device.folder)
    job, folder = make_job()
    assert fault_of(driver, job, folder).kind is INFRASTRUCTURE
    mend(device.folder)
    asyncio.run(_measured(driver, job, folder))
    assert not left_in(device)
    assert not processes_of(device)


async def _measured(driver: Any, job: Any, folder: Path) -> Any:
    try:
        return await driver.measure(job, folder)
    finally:
        await driver.close()


def test_folder_that_may_not_be_written_is_said_with_the_cure(
    device: Any, make_driver: Any, fake_runner: Any, small_disk: Any
) -> None:
    _remount(small_disk(device.folder, 1024), "ro")
    with pytest.raises(FleetNASError, match="--device-folder"):
        make_driver(device, fake_runner(CHAT)).describe()


@pytest.mark.parametrize("damage", ["cut off", "emptied", "grown"])
def test_cached_file_that_lost_its_content_is_copied_again(
    damage: str, device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    driver = make_driver(device, built_runner())
    job, folder = make_job(anchor=False)
    asyncio.run(_measured(driver, job, folder))
    for one in job.files:
        place = device.folder / "cache" / one.sha256
        content = place.read_bytes()
        place.write_bytes({"cut off": content[:-1], "emptied": b"", "grown": content + b"x"}[damage])
    result, _ = asyncio.run(_measured(driver, job, folder))
    assert result.raw.candidate.wall_ms


@pytest.mark.parametrize("time_s", [0.0, 4e9], ids=["in 1970", "in 2096"])
def test_clock_of_the_device_that_jumped_costs_no_measurement(
    time_s: float, device: Any, make_driver: Any, built_runner: Any, make_job: Any, left_in: Any
) -> None:
    driver = make_driver(device, built_runner())
    job, folder = make_job()
    asyncio.run(_measured(driver, job, folder))
    for one in [*(device.folder / "cache").iterdir(), device.folder / "lock"]:
        os.utime(one, (time_s, time_s))
    result, _ = asyncio.run(_measured(driver, job, folder))
    assert result.raw.candidate.wall_ms
    assert not left_in(device)


def test_agents_that_share_a_folder_do_not_sweep_out_each_other(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, is_measuring: Any, until: Any
) -> None:
    first, second = (make_driver(device, fake_runner(CHAT), owner=one) for one in ("first", "second"))
    job, folder = make_job()

    async def run() -> list[str]:
        task = asyncio.create_task(first.measure(job, folder))
        await asyncio.to_thread(until, lambda: is_measuring(device), "the first measures")
        second.describe()
        left = [one.name for one in (device.folder / "jobs").iterdir()]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await second.close()
        return left

    (left,) = asyncio.run(run())
    assert left.startswith("first-")


def test_agents_that_share_a_device_measure_one_after_the_other(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, is_measuring: Any, until: Any
) -> None:
    driver = make_driver(device, built_runner())
    driver.describe()
    with (device.folder / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        async def run() -> Any:
            task = asyncio.create_task(_measured(driver, *make_job()))
            await asyncio.to_thread(until, lambda: is_measuring(device), "the runner waits for its turn")
            fcntl.flock(held, fcntl.LOCK_UN)
            return await task

        result, _ = asyncio.run(run())
    assert result.raw.candidate.wall_ms


def test_turn_that_never_comes_is_a_fault_of_the_infrastructure(
    device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    fault_of: Any,
    processes_of: Any,
    until: Any,
) -> None:
    driver = make_driver(device, built_runner())
    driver.describe()
    with (device.folder / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert fault_of(driver, *make_job(total_s=4.0)).kind is INFRASTRUCTURE
    until(lambda: not processes_of(device), "the runner is gone")
