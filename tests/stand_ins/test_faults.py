"""What goes wrong with a device, and what is said and left behind then."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
)

# adbutils leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

HANG = "trap '' TERM; while :; do sleep 0.2; done"
CHAT = "while :; do echo progress 1; sleep 0.1; done"
INFRASTRUCTURE, CRASH, MODEL = FaultKind.INFRASTRUCTURE, FaultKind.CRASH, FaultKind.MODEL


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


# What differs between the links is how a program's end and its last bytes arrive.
ON_A_PHONE_TOO = ("garbage", "segmentation fault", "killed for memory", "exit code")


@pytest.mark.parametrize(
    ("kind_of_device", "case"),
    [*(("board", one) for one in SAID_AND_DONE), *(("phone", one) for one in ON_A_PHONE_TOO)],
)
def test_runner_that_fails_is_a_typed_fault(
    kind_of_device: str,
    case: str,
    make_device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    fault_of: Any,
    left_in: Any,
) -> None:
    body, kind, words = SAID_AND_DONE[case]
    device = make_device(kind_of_device)
    fault = fault_of(make_driver(device, fake_runner(body)), *make_job())
    assert fault.kind is kind
    assert words in str(fault)
    assert not left_in(device)


def test_runner_that_hangs_is_killed(
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    fault_of: Any,
) -> None:
    fault = fault_of(make_driver(device, fake_runner(HANG)), *make_job(silence_s=1.0))
    assert (fault.kind, "no sign of life for 1 s" in str(fault)) == (CRASH, True)
    until(lambda: not processes_of(device), "the runner is gone")


def test_runner_that_never_ends_is_killed(
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    fault_of: Any,
    left_in: Any,
) -> None:
    fault = fault_of(make_driver(device, fake_runner(CHAT)), *make_job(total_s=3.0))
    assert (fault.kind, "no result within 3 s" in str(fault)) == (INFRASTRUCTURE, True)
    until(lambda: not processes_of(device), "the runner is gone")
    assert not left_in(device)


def test_runner_that_floods_is_killed(
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    fault_of: Any,
) -> None:
    fault = fault_of(make_driver(device, fake_runner("yes")), *make_job())
    assert (fault.kind, "8 MiB" in str(fault)) == (CRASH, True)
    until(lambda: not processes_of(device), "the runner is gone")


def test_cancelled_job_leaves_nothing(
    device: Any,
    make_driver: Any,
    fake_runner: Any,
    make_job: Any,
    processes_of: Any,
    until: Any,
    left_in: Any,
    is_measuring: Any,
) -> None:
    driver = make_driver(device, fake_runner(CHAT))
    job, folder = make_job()

    async def cancel() -> None:
        task = asyncio.create_task(driver.measure(job, folder))
        await asyncio.to_thread(until, lambda: is_measuring(device), "the runner runs")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await driver.close()

    asyncio.run(cancel())
    until(lambda: not processes_of(device), "the runner is gone")
    assert not left_in(device)


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
    case: str,
    make_device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    fault_of: Any,
    left_in: Any,
) -> None:
    change, words = BAD_NETWORKS[case]
    job, folder = make_job(anchor=False, change=change)
    device = make_device("board")
    fault = fault_of(make_driver(device, built_runner()), job, folder)
    assert (fault.kind, words in str(fault)) == (MODEL, True), str(fault)
    assert not left_in(device)


def test_network_of_another_runtime_is_the_models_fault(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any, fault_of: Any
) -> None:
    from dataclasses import replace

    job, folder = make_job()
    fault = fault_of(make_driver(device, fake_runner(CHAT)), replace(job, entry_file="net.onnx"), folder)
    assert (fault.kind, "runs ncnn networks" in str(fault)) == (MODEL, True)


def test_network_larger_than_memory_is_no_lost_device(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, tmp_path: Path, fault_of: Any
) -> None:
    runner = tmp_path / "little.sh"
    runner.write_text(f'#!/bin/sh\nulimit -v 60000\nexec {built_runner()} "$@"\n')
    runner.chmod(0o755)
    job, folder = make_job(anchor=False, change=_replaced("net.param", "0=16 1=16", "0=4096 1=4096"))
    fault = fault_of(make_driver(device, runner), job, folder)
    assert fault.kind in (MODEL, CRASH)
