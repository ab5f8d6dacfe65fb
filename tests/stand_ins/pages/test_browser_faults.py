"""Browsers whose clock, memory, storage or link is not what it should be, and networks that no browser runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from tests.stand_ins.conftest import Cable

from fleetnas_controller.jobs import FaultKind, MeasurementState
from fleetnas_latency.measurement import Plan

INFRASTRUCTURE, CRASH, MODEL = FaultKind.INFRASTRUCTURE, FaultKind.CRASH, FaultKind.MODEL
UNSOUND = FaultKind.UNSOUND
REAL = "const real = performance.now.bind(performance); let count = 0;"
ON_JOB = "self.addEventListener('message', ({data}) => { if (data.kind === 'job') %s });"


@pytest.fixture(autouse=True)
def _browser_first(browser: Any) -> None:
    """What is missing skips a test before a controller is started for it."""


WORKERS = {
    "clock that stands still": ("performance.now = () => 5;", INFRASTRUCTURE, "clock stands still at 5 ms"),
    "clock that goes back": (
        f"{REAL} performance.now = () => real() - 60 * count++ ** 2;", INFRASTRUCTURE, "clock went from",
    ),
    "clock that jumps a day": (
        f"{REAL} performance.now = () => real() + (count++ > 40 ? 864e5 : 0);", UNSOUND, "cannot be judged",
    ),
    "no memory for the runtime": (
        "const none = () => Promise.reject(new RangeError('Out of memory'));"
        "Object.assign(WebAssembly, {instantiate: none, instantiateStreaming: none, compile: none});",
        INFRASTRUCTURE, "Out of memory",
    ),
    "runtime that throws": (ON_JOB % "throw new Error('broken');", CRASH, "thread failed"),
    "runtime that hangs": (ON_JOB % "for (;;);", CRASH, "no sign of life for 3 s"),
    "runtime that ends itself": (ON_JOB % "self.close();", CRASH, "no sign of life for 3 s"),
    "script that does not run": ("throw new Error('broken');", INFRASTRUCTURE, "thread failed"),
}  # fmt: skip


@pytest.mark.parametrize(("prelude", "kind", "words"), WORKERS.values(), ids=WORKERS.keys())
def test_broken_browser_gives_a_fault_of_its_kind_and_no_number(
    altered: Any, browser: Any, request: Any, tmp_path: Path, until: Any, prelude: str, kind: Any, words: str
) -> None:
    altered(worker=prelude)
    fleet = request.getfixturevalue("fleet")
    browser().open(fleet.link())
    name = fleet.ask(tmp_path, "m", silence_s=3.0)
    until(lambda: fleet.client.get_measurement(name).fault, "the job has a fault")
    record = fleet.client.get_measurement(name)
    assert (record.fault.kind, record.result) == (kind, None), record.fault
    assert words in record.fault.message
    # The page itself is well: it lets go of the job, and is still there.
    fleet.client.cancel_measurement(name)
    assert [one.device_id for one in fleet.client.list_devices()] == ["phone"]


@pytest.mark.parametrize("cut", ["simd/ort.wasm.min.js", "simd/ort-wasm-simd-threaded.wasm"])
def test_runtime_that_arrives_by_half_is_no_fault_of_the_network(
    altered: Any, browser: Any, request: Any, tmp_path: Path, until: Any, cut: str
) -> None:
    altered(cut=cut)
    fleet = request.getfixturevalue("fleet")
    browser().open(fleet.link())
    name = fleet.ask(tmp_path, "m")
    until(lambda: fleet.client.get_measurement(name).fault, "the job has a fault")
    assert fleet.client.get_measurement(name).fault.kind is INFRASTRUCTURE


def unknown_operator() -> bytes:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", onnx.TensorProto.FLOAT, [1])], [value("y", onnx.TensorProto.FLOAT, [1])]
    )
    return bytes(onnx.helper.make_model(graph, ir_version=8).SerializeToString())


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"garbage", "is no ONNX"), (unknown_operator(), "ONNX Runtime Web refuses 'net.onnx'")],
    ids=["garbage", "unknown operator"],
)
def test_network_that_no_browser_runs_fails_at_once_and_the_next_is_measured(
    fleet: Any, browser: Any, tmp_path: Path, content: bytes, words: str
) -> None:
    browser().open(fleet.link())
    record = fleet.done(fleet.ask(tmp_path, "m", content=content))
    assert (record.state, record.attempt_count) == (MeasurementState.FAILED, 1)
    assert record.fault.kind is MODEL
    assert words in record.fault.message
    assert fleet.done(fleet.ask(tmp_path, "n")).state is MeasurementState.DONE


def too_large(side: int) -> bytes:
    """A small file whose one activation takes 4 * side^2 bytes."""
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [side, side])
    nodes = [node("Expand", ["x", "shape"], ["wide"]), node("ReduceMax", ["wide"], ["y"], keepdims=0)]
    inputs = [value("x", onnx.TensorProto.FLOAT, [1, 1])]
    graph = onnx.helper.make_graph(nodes, "g", inputs, [value("y", onnx.TensorProto.FLOAT, [])], [shape])
    opset = [onnx.helper.make_opsetid("", 17)]
    return bytes(onnx.helper.make_model(graph, ir_version=8, opset_imports=opset).SerializeToString())


# What a phone lends a page, in pages of 64 KiB: growing beyond it fails in the real runtime.
LITTLE_MEMORY = (
    "const Whole = WebAssembly.Memory;"
    "WebAssembly.Memory = function (wanted) { return new Whole({...wanted, maximum: 4096}); };"
)


def test_network_that_does_not_fit_the_browsers_memory_fails_and_the_next_is_measured(
    altered: Any, browser: Any, request: Any, tmp_path: Path
) -> None:
    altered(worker=LITTLE_MEMORY)
    fleet = request.getfixturevalue("fleet")
    browser().open(fleet.link())
    record = fleet.done(fleet.ask(tmp_path, "m", content=too_large(12_000)))
    assert (record.state, record.fault.kind) == (MeasurementState.FAILED, MODEL)
    # A runtime that ran out of memory is started anew for the second try and for the next network.
    assert record.crash_count == 2
    assert "ran out of memory on 'net.onnx'" in record.fault.message
    assert fleet.done(fleet.ask(tmp_path, "n")).state is MeasurementState.DONE


def test_network_of_more_memory_than_any_page_has_fails_at_once(
    fleet: Any, browser: Any, tmp_path: Path
) -> None:
    browser().open(fleet.link())
    record = fleet.done(fleet.ask(tmp_path, "m", content=too_large(40_000)))
    assert (record.state, record.attempt_count, record.fault.kind) == (MeasurementState.FAILED, 1, MODEL)
    assert "takes more than 4 GiB of memory" in record.fault.message


@pytest.mark.parametrize(
    "prelude",
    [
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };",
        "Object.defineProperty(window, 'localStorage', { get: () => { throw new Error('forbidden'); } });",
        "Object.defineProperty(navigator, 'wakeLock', { value: { request: () => Promise.reject(Error('no')) } });",
        "navigator.getBattery = () => Promise.reject(new Error('forbidden'));",
        "Object.defineProperty(navigator, 'userAgent', { value: '' });",
    ],
    ids=["storage full", "storage forbidden", "screen not kept awake", "no battery", "no name"],
)
def test_browser_that_forbids_what_it_may_measures_all_the_same(
    altered: Any, browser: Any, request: Any, tmp_path: Path, prelude: str
) -> None:
    altered(page=prelude)
    fleet = request.getfixturevalue("fleet")
    page = browser()
    page.open(fleet.link())
    assert fleet.done(fleet.ask(tmp_path, "m")).state is MeasurementState.DONE
    if "torage" in prelude:
        assert "forgets it" in page.says("document.getElementById('device').textContent")


@pytest.fixture
def cable(fleet: Any) -> Iterator[Any]:
    """Between the browser and the fleet."""
    made = Cable(int(fleet.page.rpartition(":")[2]))
    yield made
    made.close()


def through(cable: Any, fleet: Any) -> str:
    return str(fleet.link()).replace(fleet.page, f"127.0.0.1:{cable.port}")


def test_clock_that_people_set_does_not_end_a_job(
    fleet: Any, browser: Any, tmp_path: Path, until: Any
) -> None:
    page = browser()
    page.open(fleet.link())
    plan = Plan(min_duration_s=3.0, max_duration_s=3.5, warmup_min_s=0.1, warmup_cap_s=0.3)
    name = fleet.ask(tmp_path, "m", plan=plan)
    until(page.works_on(name), "the page works on the job")
    page.evaluate("{const real = Date.now; Date.now = () => real() + 864e5;}")
    record = fleet.done(name)
    assert (record.state, record.attempt_count) == (MeasurementState.DONE, 1), record.fault


@pytest.mark.parametrize("how", ["pulled", "blocked"])
def test_link_lost_in_mid_run_gives_the_job_back_and_the_page_comes_again(
    fleet: Any, browser: Any, tmp_path: Path, until: Any, plans: Sequence[Plan], cable: Any, how: str
) -> None:
    page = browser()
    page.open(through(cable, fleet))
    name = fleet.ask(tmp_path, "m", plan=plans[1])
    until(page.works_on(name), "the page works on the job")
    if how == "pulled":
        cable.pull()
    else:
        cable.blocked = True
    until(lambda: fleet.client.get_measurement(name).fault, "the lease has ended")
    assert fleet.client.get_measurement(name).fault.kind is INFRASTRUCTURE
    fleet.client.cancel_measurement(name)
    cable.plug()
    assert fleet.done(fleet.ask(tmp_path, "n")).state is MeasurementState.DONE


def test_link_lost_while_a_file_comes_costs_one_attempt(
    fleet: Any, browser: Any, tmp_path: Path, until: Any, cable: Any
) -> None:
    page = browser()
    page.open(through(cable, fleet))
    until(lambda: "connected" in page.says(), "the page is in")
    cable.bytes_per_s = 20e3
    name = fleet.ask(tmp_path, "m")
    until(page.works_on(name, "fetching its files"), "the page fetches")
    cable.pull()
    cable.bytes_per_s = 0.0
    until(lambda: fleet.client.get_measurement(name).fault, "the job has a fault")
    assert fleet.client.get_measurement(name).fault.kind is INFRASTRUCTURE
    cable.plug()
    assert fleet.done(name).state is MeasurementState.DONE


def test_page_that_never_reached_its_controller_says_so(
    fleet: Any, browser: Any, until: Any, cable: Any
) -> None:
    page = browser()
    page.open(through(cable, fleet))
    until(lambda: "connected" in page.says(), "the page is in")
    cable.pull()
    page.evaluate("localStorage.clear()")
    until(lambda: "not connected" in page.says(), "the page tells that its link is lost")
    cable.plug()
    until(lambda: "connected as phone" in page.says(), "the page is back")
