"""Several networks in one lease: who may have it, and what counts as its result."""

from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.jobs import Fault, FaultKind, MeasurementState, ModelFile, Selector
from fleetnas_latency.measurement import Measurement, Plan, in_one
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError

World = Any


def test_results_of_every_network_are_kept_in_their_order(
    world: World, batch: Any, good: Measurement, bad: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx", "c.onnx"))
    assert world.fleet.report(device, world.lease(), in_one([good, bad, good]), target).accepted
    world.restart()
    done = world.book.get("m")
    assert done.state is MeasurementState.DONE
    assert [one.verdict for one in done.result.batch] == [good.verdict, bad.verdict, good.verdict]


@pytest.mark.parametrize("count", [1, 3])
def test_report_that_lacks_a_network_or_has_one_more_is_refused(
    world: World, batch: Any, good: Measurement, target: Target, count: int
) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx"))
    answer = world.fleet.report(device, world.lease(), in_one([good] * count), target)
    assert not answer.accepted
    assert f"results of {count} networks, the measurement has 2" in answer.reason
    assert world.book.get("m").state is MeasurementState.LEASED


def test_stale_batch_counts_only_when_every_network_is_good(
    world: World, batch: Any, good: Measurement, bad: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx"))
    stale = world.lease()
    world.pass_time(11)
    assert not world.fleet.report(device, stale, in_one([good, bad]), target).accepted
    assert world.fleet.report(device, stale, in_one([good, good]), target).accepted


def test_fault_of_one_network_is_the_fault_of_the_batch(world: World, batch: Any) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx"))
    fault = Fault(FaultKind.MODEL, "network 2 of 2: unknown operator Foo", "b.onnx")
    assert world.fleet.report(device, world.lease(), fault, None).accepted
    assert world.book.get("m").fault == fault


def test_network_that_crashes_twice_is_still_named(world: World, batch: Any) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx"))
    for _ in range(2):
        world.fleet.report(device, world.lease(), Fault(FaultKind.CRASH, "signal 9", "b.onnx"), None)
        world.pass_time(5)
    found = world.book.get("m").fault
    assert found is not None
    assert (found.kind, found.file) == (FaultKind.MODEL, "b.onnx")


def test_file_that_is_no_network_of_the_batch_is_not_to_blame(world: World, batch: Any) -> None:
    device = world.join("a")
    world.create(**batch("b.onnx"))
    world.fleet.report(device, world.lease(), Fault(FaultKind.MODEL, "bad", "/etc/passwd"), None)
    assert world.book.get("m").fault == Fault(FaultKind.MODEL, "bad")


def test_batch_waits_for_a_device_that_measures_in_turns(world: World, batch: Any) -> None:
    device = world.join("a")
    alone = DeviceDescription("board", "adb", world.fleet.devices.get(device).targets)
    world.fleet.connect(device, alone, [])
    assert world.create("batch", **batch("b.onnx")).state is MeasurementState.QUEUED
    assert world.create("single").state is MeasurementState.LEASED


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"selector": Selector()}, "selector.batches"),
        ({"companion_files": ("other.onnx",)}, r"other\.onnx"),
        ({"companion_files": ("net.onnx",)}, "different files"),
        ({"plan": Plan()}, r"20000 runs are 60000 in all.*13333"),
    ],
)
def test_batch_that_cannot_be_is_refused(
    world: World, batch: Any, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        world.create(**(batch("b.onnx", "c.onnx") | fields))


def test_batch_of_more_than_twenty_is_refused(world: World, batch: Any, make_request: Any) -> None:
    names = tuple(f"n{number}.onnx" for number in range(20))
    file = make_request().files[0]
    fields = batch("b.onnx") | {"companion_files": names}
    fields["files"] = (file, *(replace(file, path=name) for name in names))
    assert isinstance(file, ModelFile)
    with pytest.raises(InvalidArgumentError, match=r"\(20\) must be up to 19"):
        world.create(**fields)
