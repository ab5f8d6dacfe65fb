"""The host driver and its worker process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.drivers.host import HostDriver
from fleetnas_agents.jobs import FaultKind, Job, MeasureError
from fleetnas_agents.runtimes.registry import installed_runtimes
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

LayOut = Callable[[Job], Path]
CRASHING = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
HANGING = (sys.executable, "-c", "import time; time.sleep(60)")
BABBLING = (sys.executable, "-c", "print('Segmentation fault ' * 10)")
CHATTING = (
    sys.executable,
    "-c",
    "import sys, time\nwhile True:\n"
    "  sys.stdout.buffer.write(bytes([2, 0, 0, 0, 0])); sys.stdout.flush(); time.sleep(.01)",
)


def driven(work: Callable[[HostDriver], Awaitable[Any]], *command: str) -> Any:
    async def run() -> Any:
        driver = HostDriver(command=command) if command else HostDriver()
        try:
            return await work(driver)
        finally:
            await driver.close()

    return asyncio.run(run())


def fault_of(job: Job, folder: Path, *command: str) -> MeasureError:
    with pytest.raises(MeasureError) as caught:
        driven(lambda driver: driver.measure(job, folder), *command)
    return caught.value


def test_network_is_measured_beside_its_anchor(shelf: Any, lay_out: LayOut, make_network: Any) -> None:
    job = shelf.job(anchor=make_network(size=32))
    result, target = driven(lambda driver: driver.measure(job, lay_out(job)))
    assert len(result.raw.candidate.wall_ms) >= job.plan.min_run_count
    assert result.ratio is not None
    assert result.digest
    assert target.runtime == "onnxruntime"
    assert dict(result.evidence)["runtime_version"] == target.runtime_version


def test_same_network_gives_the_same_output(shelf: Any, lay_out: LayOut) -> None:
    job = shelf.job()

    async def twice(driver: HostDriver) -> list[tuple[float, ...]]:
        return [(await driver.measure(job, lay_out(job)))[0].digest for _ in range(2)]

    first, second = driven(twice)
    assert first == second


def test_worker_lives_from_job_to_job(shelf: Any, lay_out: LayOut) -> None:
    job = shelf.job()

    async def twice(driver: HostDriver) -> list[int]:
        pids = []
        for _ in range(2):
            await driver.measure(job, lay_out(job))
            assert driver._process is not None
            pids.append(driver._process.pid)
        return pids

    first, second = driven(twice)
    assert first == second


def test_file_that_the_runtime_refuses_is_the_models_fault(
    shelf: Any, lay_out: LayOut, make_network: Any
) -> None:
    job = shelf.job(content=make_network("NoSuchOperator"))
    fault = fault_of(job, lay_out(job))
    assert fault.kind is FaultKind.MODEL
    assert "NoSuchOperator" in str(fault)
    assert "\n" not in str(fault)


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(1000)])
def test_file_that_is_no_network_is_the_models_fault(shelf: Any, lay_out: LayOut, content: bytes) -> None:
    job = shelf.job(content=content)
    assert fault_of(job, lay_out(job)).kind is FaultKind.MODEL


def test_truncated_network_is_the_models_fault(shelf: Any, lay_out: LayOut, make_network: Any) -> None:
    job = shelf.job(content=make_network()[:-100])
    assert fault_of(job, lay_out(job)).kind is FaultKind.MODEL


def test_refused_file_does_not_cost_the_worker(shelf: Any, lay_out: LayOut, make_network: Any) -> None:
    bad, good = shelf.job(content=b"garbage"), shelf.job()

    async def bad_then_good(driver: HostDriver) -> int:
        with pytest.raises(MeasureError):
            await driver.measure(bad, lay_out(bad))
        result, _ = await driver.measure(good, lay_out(good))
        return len(result.raw.candidate.wall_ms)

    assert driven(bad_then_good) > 0


def test_crash_of_the_runtime_is_a_crash(shelf: Any, lay_out: LayOut) -> None:
    job = shelf.job()
    fault = fault_of(job, lay_out(job), *CRASHING)
    assert (fault.kind, f"signal {signal.SIGSEGV.value}" in str(fault)) == (FaultKind.CRASH, True)


def test_hang_of_the_runtime_is_a_crash(shelf: Any, lay_out: LayOut) -> None:
    job = replace(shelf.job(), silence_s=0.2)
    fault = fault_of(job, lay_out(job), *HANGING)
    assert (fault.kind, "no sign of life for 0.2 s" in str(fault)) == (FaultKind.CRASH, True)


def test_runtime_that_never_ends_is_a_crash(shelf: Any, lay_out: LayOut) -> None:
    job = replace(shelf.job(), total_s=0.5)
    fault = fault_of(job, lay_out(job), *CHATTING)
    assert (fault.kind, "no result in 0.5 s" in str(fault)) == (FaultKind.CRASH, True)


def test_nonsense_from_the_runtime_is_a_crash(shelf: Any, lay_out: LayOut) -> None:
    job = shelf.job()
    assert fault_of(job, lay_out(job), *BABBLING).kind is FaultKind.CRASH


def test_cancelled_job_leaves_no_worker(shelf: Any, lay_out: LayOut) -> None:
    job = shelf.job()

    async def cancel(driver: HostDriver) -> int:
        task = asyncio.create_task(driver.measure(job, lay_out(job)))
        while driver._process is None:
            await asyncio.sleep(0.01)
        pid = driver._process.pid
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    pid = driven(cancel, *HANGING)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_token_is_kept_from_the_worker(shelf: Any, lay_out: LayOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETNAS_TOKEN", "secret-of-the-fleet")
    code = "import os, sys; sys.exit(3 if 'FLEETNAS_TOKEN' in os.environ else 4)"
    job = shelf.job()
    assert "exit code 4" in str(fault_of(job, lay_out(job), sys.executable, "-c", code))


def test_host_offers_every_statistic() -> None:
    description = HostDriver().describe()
    assert {target.statistic for target in description.targets} == set(Statistic)
    assert description.kind == "host"


@pytest.mark.parametrize("written", ["bytes([9] * 50)", "bytes([3, 4, 0, 0, 0, 255, 255, 255, 255])"])
def test_runtime_that_lives_on_and_sends_nonsense_is_a_crash(
    shelf: Any, lay_out: LayOut, written: str
) -> None:
    job = shelf.job()
    code = f"import os, time; os.write(1, {written}); time.sleep(60)"
    assert fault_of(job, lay_out(job), sys.executable, "-c", code).kind is FaultKind.CRASH


def test_core_that_other_work_shares_gives_contended(shelf: Any, lay_out: LayOut) -> None:
    found = space("mobilenet-v2")
    reference = found.canonical(found.reference)
    content = emit_onnx(found.graph(reference), WeightPool(None), key=reference.key).model_bytes
    job = shelf.job(content=content)
    # Long enough a network, some milliseconds, that the scheduler takes the core away within most runs.
    job = replace(job, plan=replace(job.plan, min_duration_s=0.5, max_duration_s=2.0))
    core = max(os.sched_getaffinity(0))
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for one in others:
            assert one.stdout is not None
            one.stdout.readline()
        result, _ = driven(lambda driver: driver.measure(job, lay_out(job)))
    finally:
        for one in others:
            one.kill()
            one.communicate()
    assert result.verdict is Verdict.CONTENDED
    assert "other work has the core" in result.reason


def test_several_threads_get_as_many_cores_and_a_target_of_their_own(shelf: Any, lay_out: LayOut) -> None:
    count = min(2, len(os.sched_getaffinity(0)))
    job = shelf.job()
    job = replace(job, plan=replace(job.plan, thread_count=count))

    async def run() -> Any:
        driver = HostDriver(thread_count=count)
        try:
            return await driver.measure(job, lay_out(job))
        finally:
            await driver.close()

    result, target = asyncio.run(run())
    assert target.thread_count == count
    assert len(dict(result.evidence)["cores"].split(",")) == count


def test_more_threads_than_the_agent_lends_are_refused(shelf: Any, lay_out: LayOut) -> None:
    job = replace(shelf.job(), plan=replace(shelf.job().plan, thread_count=2))
    fault = fault_of(job, lay_out(job))
    assert (fault.kind, "--threads 2" in str(fault)) == (FaultKind.MODEL, True)


def test_core_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidArgumentError, match=r"--core 4095 .*\d"):
        HostDriver(core=4095)


def batch_of(shelf: Any, lay_out: LayOut, *contents: bytes, anchor: bytes | None = None) -> tuple[Job, Path]:
    """A job for networks that take turns, and its folder."""
    job = shelf.job(content=contents[0], anchor=anchor)
    others = [shelf.add(f"net-{number}.onnx", one) for number, one in enumerate(contents[1:], 2)]
    names = tuple(one.path for one in others)
    job = replace(job, files=(*job.files, *others), companion_files=names)
    return job, lay_out(job)


def test_networks_of_a_batch_take_turns_beside_the_anchor(
    shelf: Any, lay_out: LayOut, make_network: Any
) -> None:
    contents = [make_network(size=size) for size in (64, 256, 128)]
    job, folder = batch_of(shelf, lay_out, *contents, anchor=make_network(size=32))
    # The looks at the anchor of so short a plan may differ on a busy machine; the rests are not what is tested.
    job = replace(job, plan=replace(job.plan, drift_limit=10.0))
    result, _ = driven(lambda driver: driver.measure(job, folder))
    small, large, middle = (one.estimate.value for one in result.batch)
    assert small < middle < large
    assert {one.raw.candidate.rounds[-1] for one in result.batch} == {result.raw.anchor.rounds[-1]}
    facts = dict(result.companions[0].evidence)
    assert float(facts["anchor_before_ms"]) > 0.0
    assert float(facts["load_ms"]) > 0.0


def test_batch_without_an_anchor_has_no_looks_at_one(shelf: Any, lay_out: LayOut, make_network: Any) -> None:
    job, folder = batch_of(shelf, lay_out, make_network(), make_network(size=32))
    result, _ = driven(lambda driver: driver.measure(job, folder))
    assert len(result.batch) == 2
    assert "anchor_before_ms" not in dict(result.evidence)


def test_operators_are_told_where_they_were_asked_for(shelf: Any, lay_out: LayOut, make_network: Any) -> None:
    job, folder = batch_of(shelf, lay_out, make_network(), make_network())
    silent, _ = driven(lambda driver: driver.measure(job, folder))
    told, _ = driven(lambda driver: driver.measure(replace(job, profile=True), folder))
    assert [one.operators for one in silent.batch] == [(), ()]
    assert [[one.kind for one in result.operators] for result in told.batch] == [["MatMul"]] * 2


def test_refused_file_of_a_batch_is_named_by_its_number(
    shelf: Any, lay_out: LayOut, make_network: Any
) -> None:
    job, folder = batch_of(shelf, lay_out, make_network(), make_network("NoSuchOperator"), make_network())
    fault = fault_of(job, folder)
    assert (fault.kind, fault.file) == (FaultKind.MODEL, job.companion_files[0])
    assert "network 2 of 3: ONNX Runtime refuses 'net-2.onnx'" in str(fault)


def test_network_of_a_batch_whose_load_ends_the_process_is_named(
    shelf: Any, lay_out: LayOut, make_network: Any
) -> None:
    job, folder = batch_of(shelf, lay_out, make_network(), make_network(size=32))
    code = "import os, sys\nsys.stdout.buffer.write(bytes([2, 1, 0, 0, 0]) + b'2')\nsys.stdout.flush()\nos.abort()"
    fault = fault_of(job, folder, sys.executable, "-c", code)
    assert (fault.kind, fault.file) == (FaultKind.CRASH, job.companion_files[0])


def test_driver_without_a_core_is_not_pinned() -> None:
    assert {target.core_set for target in HostDriver(core=-1).describe().targets} == {""}


def test_runtime_of_the_job_is_used_and_named(shelf: Any, lay_out: LayOut) -> None:
    if "openvino" not in installed_runtimes():
        pytest.skip("openvino is not installed")
    job = replace(shelf.job(), runtime="openvino")
    result, target = driven(lambda driver: driver.measure(job, lay_out(job)))
    assert target.runtime == dict(result.evidence)["runtime"] == "openvino"


def test_unknown_runtime_is_the_models_fault(shelf: Any, lay_out: LayOut) -> None:
    job = replace(shelf.job(), runtime="tensorrt")
    fault = fault_of(job, lay_out(job))
    assert (fault.kind, "tensorrt" in str(fault)) == (FaultKind.MODEL, True)
