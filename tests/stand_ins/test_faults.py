"""What goes wrong with a device, and what is said and left behind then."""

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
    InvalidArgumentError,
    PermissionDeniedError,
)

# adbutils leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

HANG = "trap '' TERM; while :; do sleep 0.2; done"
CHAT = "while :; do echo progress 1; sleep 0.1; done"
INFRASTRUCTURE, CRASH, MODEL = FaultKind.INFRASTRUCTURE, FaultKind.CRASH, FaultKind.MODEL


def fault_of(driver: Any, job: Any, folder: Path) -> MeasureError:
    async def run() -> None:
        try:
            await driver.measure(job, folder)
        finally:
            await driver.close()

    with pytest.raises(MeasureError) as caught:
        asyncio.run(run())
    assert "\n" not in str(caught.value)
    return caught.value


def left_in(device: Any) -> list[str]:
    """What a job has left on the device: anything but whole files in the cache."""
    jobs = [one.name for one in (device.folder / "jobs").iterdir() if one.name != ".writable"]
    return jobs + [one.name for one in (device.folder / "cache").glob("*.part")]


def is_measuring(processes: list[str]) -> bool:
    return any("--exit-with-stdin" in line for line in processes)


SAID_AND_DONE = {
    "garbage": ("head -c 3000 /dev/urandom; exit 0", CRASH, "without a result"),
    "segmentation fault": ("kill -SEGV $$", CRASH, "signal 11"),
    "illegal instruction": ("kill -ILL $$", CRASH, "illegal instruction"),
    "killed for memory": ("kill -KILL $$", CRASH, "out of memory"),
    "exit code": ("echo cannot go on; exit 7", CRASH, "exit code 7; its last words: cannot go on"),
    "no result": ("echo progress 1", CRASH, "without a result"),
    "broken result": ("echo 'result {\"digest\": 3}'", CRASH, "broken result"),
    "half a result": ('echo \'result {"candidate":{"wall\'', CRASH, "broken result"),
    "its own limit": ("kill -ALRM $$", CRASH, "its own time limit"),
    "fault of the model": ("echo fault model no such layer; exit 1", MODEL, "no such layer"),
    "fault of the device": ("echo fault infrastructure no core; exit 1", INFRASTRUCTURE, "no core"),
    "fault of an unknown kind": ("echo fault weather rain; exit 1", CRASH, "rain"),
}


@pytest.mark.parametrize("case", SAID_AND_DONE)
def test_runner_that_fails_is_a_typed_fault(
    case: str, device: Any, make_driver: Any, fake_runner: Any, make_job: Any
) -> None:
    body, kind, words = SAID_AND_DONE[case]
    fault = fault_of(make_driver(device, fake_runner(body)), *make_job())
    assert fault.kind is kind
    assert words in str(fault)
    assert not left_in(device)


def test_runner_that_hangs_is_killed(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, processes_of: Any, until: Any
) -> None:
    fault = fault_of(make_driver(device, fake_runner(HANG)), *make_job(silence_s=1.0))
    assert (fault.kind, "no sign of life for 1 s" in str(fault)) == (CRASH, True)
    until(lambda: not processes_of(device), "the runner is gone")


def test_runner_that_never_ends_is_killed(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, processes_of: Any, until: Any
) -> None:
    fault = fault_of(make_driver(device, fake_runner(CHAT)), *make_job(total_s=5.0))
    assert (fault.kind, "no result within 5 s" in str(fault)) == (INFRASTRUCTURE, True)
    until(lambda: not processes_of(device), "the runner is gone")
    assert not left_in(device)


def test_runner_that_floods_is_killed(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, processes_of: Any, until: Any
) -> None:
    fault = fault_of(make_driver(device, fake_runner("yes")), *make_job())
    assert (fault.kind, "8 MiB" in str(fault)) == (CRASH, True)
    until(lambda: not processes_of(device), "the runner is gone")


def test_cancelled_job_leaves_nothing(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, processes_of: Any, until: Any
) -> None:
    driver = make_driver(device, fake_runner(CHAT))
    job, folder = make_job()

    async def cancel() -> None:
        task = asyncio.create_task(driver.measure(job, folder))
        await asyncio.to_thread(until, lambda: is_measuring(processes_of(device)), "the runner runs")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await driver.close()

    asyncio.run(cancel())
    until(lambda: not processes_of(device), "the runner is gone")
    assert not left_in(device)


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
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, processes_of: Any, until: Any
) -> None:
    from dataclasses import replace

    job, folder = make_job()
    long = replace(job, plan=replace(job.plan, min_duration_s=30.0, max_duration_s=30.0, max_run_count=10**9))
    driver = make_driver(device, built_runner(), wait_s=15.0)

    def measuring() -> bool:
        return is_measuring(processes_of(device))

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
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, until: Any
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


def test_device_that_is_not_there_is_waited_for_and_then_a_fault(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any
) -> None:
    device.cable.pull()
    fault = fault_of(make_driver(device, fake_runner(CHAT), wait_s=0.5), *make_job())
    assert fault.kind is INFRASTRUCTURE


@pytest.mark.parametrize("phase", ["copying", "measuring"])
def test_dead_link_is_not_blamed_on_the_runner(
    phase: str, device: Any, make_driver: Any, fake_runner: Any, make_job: Any, processes_of: Any, until: Any
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
        return is_measuring(processes_of(device))

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


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], Path]]:
    mounted: list[Path] = []

    def mount(folder: Path, size_kib: int) -> Path:
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_on_the_device_is_said_with_numbers_and_leaves_nothing(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, small_disk: Any
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


def test_runner_of_another_version_is_refused(device: Any, make_driver: Any, tmp_path: Path) -> None:
    runner = tmp_path / "old.sh"
    runner.write_text("#!/bin/sh\necho '{\"protocol\":0}'\n")
    with pytest.raises(FailedPreconditionError, match="build it again"):
        make_driver(device, runner).describe()


def test_runner_for_another_machine_is_refused(device: Any, make_driver: Any, tmp_path: Path) -> None:
    runner = tmp_path / "runner"
    runner.write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(FailedPreconditionError, match="does not run on the device"):
        make_driver(device, runner).describe()


def test_missing_runner_says_how_to_build_it(device: Any, make_driver: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="make runner TARGET=x86_64"):
        make_driver(device, tmp_path).describe()


@pytest.mark.parametrize("kind", ["phone", "board"])
def test_machine_without_a_runner_is_named(
    kind: str, make_device: Any, make_driver: Any, tmp_path: Path
) -> None:
    with pytest.raises(FailedPreconditionError, match="no runner for the machine 'riscv64'"):
        make_driver(make_device(kind, "riscv64"), tmp_path).describe()


def _with_layer(folder: Path) -> None:
    text = (folder / "net.param").read_text()
    (folder / "net.param").write_text(text.replace("ReLU ", "Swish ").replace("Pooling", "Swish", 1))


def _cut(name: str, part: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * part)])

    return change


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    return change


BAD_NETWORKS = {
    "a layer that was left out": (_with_layer, "built without"),
    "half a network": (_cut("net.param", 0.5), ""),
    "no magic number": (_replaced("net.param", "7767517", "1"), "magic number"),
    "too few weights": (_cut("net.weights", 0.7), "weights"),
    "weights of another name": (_replaced("net.weights", "weights-0", "weights-9"), "not among the job's files"),
    "too many weights": (
        _replaced("net.weights", "float32", "float32\nfloat32"), "weights"
    ),
    "an input without a size": (_replaced("net.param", "0=16 1=16", ""), "size of its input"),
    "no output of that name": (_replaced("net.param", "logits", "other"), "cannot run"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NETWORKS)
def test_network_that_cannot_run_is_the_models_fault(
    case: str, make_device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    change, words = BAD_NETWORKS[case]
    job, folder = make_job(anchor=False, change=change)
    device = make_device("board")
    fault = fault_of(make_driver(device, built_runner()), job, folder)
    assert (fault.kind, words in str(fault)) == (MODEL, True), str(fault)
    assert not left_in(device)


def test_network_of_another_runtime_is_the_models_fault(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any
) -> None:
    from dataclasses import replace

    job, folder = make_job()
    fault = fault_of(make_driver(device, fake_runner(CHAT)), replace(job, entry_file="net.onnx"), folder)
    assert (fault.kind, "runs ncnn networks" in str(fault)) == (MODEL, True)


def test_network_larger_than_memory_is_no_lost_device(
    make_board: Any, make_driver: Any, built_runner: Any, make_job: Any, tmp_path: Path
) -> None:
    runner = tmp_path / "little.sh"
    runner.write_text(f'#!/bin/sh\nulimit -v 60000\nexec {built_runner()} "$@"\n')
    runner.chmod(0o755)
    job, folder = make_job(anchor=False, change=_replaced("net.param", "0=16 1=16", "0=4096 1=4096"))
    fault = fault_of(make_driver(make_board(), runner), job, folder)
    assert fault.kind in (MODEL, CRASH)


def test_phone_that_was_not_allowed_yet_says_what_to_do_and_joins_once_allowed(
    make_phone: Any, make_driver: Any, fake_runner: Any
) -> None:
    phone = make_phone(auth=True)
    with pytest.raises(FailedPreconditionError, match="accept 'Allow USB debugging"):
        make_driver(phone, fake_runner(CHAT), wait_s=1.0).describe()
    (phone.home / "control" / "allow").touch()
    assert make_driver(phone, fake_runner(CHAT), wait_s=10.0).describe().model


def test_phone_that_is_not_there_says_how_to_plug_it_in(
    make_phone: Any, make_driver: Any, fake_runner: Any
) -> None:
    from fleetnas_agents.shells.adb import open_adb
    from fleetnas_agents.shells.shell import LinkError

    make_phone()
    with pytest.raises(LinkError, match="switch on USB debugging"):
        open_adb("no-such-serial", wait_s=0.0)


def test_two_phones_need_a_serial(make_phone: Any) -> None:
    from fleetnas_agents.shells.adb import open_adb

    phones = [make_phone(), make_phone()]
    for one in phones:
        open_adb(connect=one.address, wait_s=10.0)
    with pytest.raises(InvalidArgumentError, match="say which with --serial"):
        open_adb(wait_s=0.0)


def opened(board: Any, **changes: Any) -> Any:
    from fleetnas_agents.shells.ssh import open_ssh, parse_ssh_address

    options = {"key_file": board.home / "user_key", "known_hosts": board.home / "known_hosts"} | changes
    return open_ssh(parse_ssh_address(board.address), **options)


def test_host_that_nobody_vouches_for_is_refused_with_its_fingerprint(
    make_board: Any, tmp_path: Path
) -> None:
    board = make_board()
    (tmp_path / "empty").touch()
    with pytest.raises(FailedPreconditionError, match=r"--host-key SHA256:[A-Za-z0-9+/]{43}"):
        opened(board, known_hosts=tmp_path / "empty")
    assert (tmp_path / "empty").read_text() == ""


def test_pinned_fingerprint_vouches_for_a_host(make_board: Any) -> None:
    board = make_board()
    listed = subprocess.run(
        ["ssh-keygen", "-lf", str(board.home / "host_key.pub")], capture_output=True, text=True, check=True
    ).stdout
    shell = opened(board, known_hosts=None, host_key=listed.split()[1])
    assert shell.run("echo here", timeout_s=10.0).text == "here\n"
    shell.close()


def test_pinned_fingerprint_of_another_key_is_refused(make_board: Any) -> None:
    with pytest.raises(PermissionDeniedError, match="another machine may answer"):
        opened(make_board(), known_hosts=None, host_key="SHA256:" + "A" * 43)


def test_changed_host_key_is_refused(make_board: Any) -> None:
    board = make_board()
    other = " ".join((board.home / "other_key.pub").read_text().split()[:2])
    (board.home / "known_hosts").write_text(f"[127.0.0.1]:{board.cable.port} {other}\n")
    with pytest.raises(PermissionDeniedError, match="another machine may answer"):
        opened(board)


def test_user_key_that_is_not_known_there_is_said_with_the_cure(make_board: Any) -> None:
    board = make_board()
    with pytest.raises(PermissionDeniedError, match="ssh-copy-id"):
        opened(board, key_file=board.home / "other_key")


def test_missing_key_file_is_named(make_board: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="no-such-key"):
        opened(make_board(), key_file=tmp_path / "no-such-key")
