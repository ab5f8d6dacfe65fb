"""Leases, faults and results, on a clock that only the test moves."""

from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.jobs import DeviceState, Fault, FaultKind, Limits, MeasurementState, Selector
from fleetnas_controller.leases import LeaseKey
from fleetnas_controller.retries import FleetSettings
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

World = Any
INFRA = Fault(FaultKind.INFRASTRUCTURE, "the cable fell out")
CRASH = Fault(FaultKind.CRASH, "signal 11")
MODEL = Fault(FaultKind.MODEL, "unknown operator Foo")


def test_measurement_goes_to_the_free_device(world: World) -> None:
    world.join("a")
    record = world.create()
    assert (record.state, record.device, record.attempt_count) == (MeasurementState.LEASED, "devices/a", 1)
    assert [one.name for one in world.listener.assignments] == [record.name]


def test_device_never_holds_two(world: World) -> None:
    world.join("a")
    world.create("m1")
    second = world.create("m2")
    assert (second.state, second.queue_position) == (MeasurementState.QUEUED, 1)


def test_least_used_device_is_taken(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create("m1")
    world.fleet.report("devices/a", world.lease("m1"), good, target)
    world.join("b")
    assert world.create("m2").device == "devices/b"


def test_result_ends_it_and_frees_the_device(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create("m1")
    world.create("m2")
    assert world.fleet.report("devices/a", world.lease("m1"), good, target).accepted
    done = world.book.get("m1")
    assert (done.state, done.result, done.target) == (MeasurementState.DONE, good, target)
    assert world.fleet.devices.get("devices/a").holder == "measurements/m2"


def test_result_sent_twice_counts_once(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create()
    lease = world.lease()
    assert world.fleet.report("devices/a", lease, good, target).accepted
    again = world.fleet.report("devices/a", lease, good, target)
    assert not again.accepted
    assert "done already" in again.reason
    assert len([one for one in world.listener.changes if one.state is MeasurementState.DONE]) == 1


def test_heartbeats_keep_a_lease(world: World) -> None:
    device = world.join("a")
    world.create()
    world.pass_time(60, device)
    assert world.book.get("m").attempt_count == 1


def test_silent_device_loses_its_lease_and_its_work_goes_elsewhere(world: World) -> None:
    world.join("a")
    world.create()
    world.join("b")
    world.pass_time(13, "devices/b")
    record = world.book.get("m")
    assert (record.device, record.attempt_count) == ("devices/b", 2)
    silent = world.fleet.devices.get("devices/a")
    assert silent.state is DeviceState.OFFLINE
    assert "silent for 10 s" in silent.reason
    assert world.listener.silences == ["devices/a"]


def test_heartbeat_brings_a_silent_device_back(world: World) -> None:
    device = world.join("a")
    world.pass_time(11)
    world.create()
    world.fleet.heartbeat(device, [])
    assert world.book.get("m").device == device


def test_tokens_of_a_device_only_grow(world: World, good: Measurement, target: Target) -> None:
    device = world.join("a")
    tokens = []
    for number in range(3):
        world.create(f"m{number}")
        tokens.append(world.lease(f"m{number}").fencing_token)
        world.fleet.report(device, world.lease(f"m{number}"), good, target)
    world.fleet.remove(device)
    world.join("a")
    world.create("after")
    tokens.append(world.lease("after").fencing_token)
    assert tokens == sorted(set(tokens))


def test_token_that_was_never_given_is_refused(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create()
    answer = world.fleet.report("devices/a", replace(world.lease(), fencing_token=99), good, target)
    assert not answer.accepted
    assert "never given" in answer.reason
    assert world.book.get("m").state is MeasurementState.LEASED


def test_result_of_another_devices_lease_is_refused(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create()
    world.join("b")
    assert not world.fleet.report("devices/b", world.lease(), good, target).accepted


def test_stale_bad_result_is_refused(world: World, bad: Measurement, target: Target) -> None:
    world.join("a")
    world.create()
    stale = world.lease()
    world.pass_time(11)
    answer = world.fleet.report("devices/a", stale, bad, target)
    assert not answer.accepted
    assert "stale" in answer.reason


def test_stale_fault_is_refused(world: World) -> None:
    world.join("a")
    world.create()
    stale = world.lease()
    world.pass_time(11)
    assert not world.fleet.report("devices/a", stale, MODEL, None).accepted
    assert world.book.get("m").state is MeasurementState.QUEUED


def test_stale_good_result_counts_while_nobody_else_has_one(
    world: World, good: Measurement, target: Target
) -> None:
    world.join("a")
    world.create()
    stale = world.lease()
    world.join("b")
    world.pass_time(13, "devices/b")
    current = world.lease()
    assert world.fleet.report("devices/a", stale, good, target).accepted
    done = world.book.get("m")
    assert (done.device, done.fencing_token) == ("devices/a", stale.fencing_token)
    assert world.listener.revocations[-1] == ("devices/b", current)
    assert not world.fleet.report("devices/b", current, good, target).accepted


def test_infrastructure_fault_is_tried_again_after_a_wait(world: World) -> None:
    device = world.join("a")
    world.create()
    world.fleet.report(device, world.lease(), INFRA, None)
    assert world.book.get("m").state is MeasurementState.QUEUED
    world.pass_time(1, device)
    assert world.book.get("m").state is MeasurementState.QUEUED
    world.pass_time(2, device)
    assert world.book.get("m").attempt_count == 2


def test_infrastructure_faults_end_at_the_limit(world: World) -> None:
    device = world.join("a")
    world.create()
    for _ in range(3):
        world.pass_time(10, device)
        world.fleet.report(device, world.lease(), INFRA, None)
    failed = world.book.get("m")
    assert failed.state is MeasurementState.FAILED
    assert failed.fault.message == "given up after 3 attempts; last: the cable fell out"


def test_model_fault_is_final(world: World) -> None:
    device = world.join("a")
    world.create()
    world.fleet.report(device, world.lease(), MODEL, None)
    assert (world.book.get("m").state, world.book.get("m").fault) == (MeasurementState.FAILED, MODEL)


def test_second_crash_on_a_file_is_the_models_fault(world: World) -> None:
    device = world.join("a")
    world.create()
    world.fleet.report(device, world.lease(), CRASH, None)
    assert world.book.get("m").state is MeasurementState.QUEUED
    world.pass_time(3, device)
    world.fleet.report(device, world.lease(), CRASH, None)
    failed = world.book.get("m")
    assert (failed.state, failed.fault.kind) == (MeasurementState.FAILED, FaultKind.MODEL)
    assert "2 times" in failed.fault.message


def test_wait_for_a_device_is_bounded(world: World) -> None:
    world.create(limits=Limits(device_s=30.0), selector=Selector(model="rk3288"))
    world.pass_time(31)
    failed = world.book.get("m")
    assert (failed.state, failed.fault.kind) == (MeasurementState.FAILED, FaultKind.INFRASTRUCTURE)
    assert "no device free for 'model=rk3288' within 30 s" in failed.fault.message


def test_attempt_is_bounded_though_the_agent_is_alive(world: World) -> None:
    device = world.join("a")
    world.create(limits=Limits(total_s=20.0))
    lease = world.lease()
    world.pass_time(26, device)
    assert (device, lease) in world.listener.revocations
    assert "no result within 20 s" in world.book.get("m").fault.message


def test_agent_that_restarted_gets_the_work_again(world: World) -> None:
    device = world.join("a")
    world.create()
    world.fleet.disconnect(device, "killed")
    world.fleet.connect(device, _description(world, device), [])
    world.pass_time(3, device)
    record = world.book.get("m")
    assert (record.state, record.attempt_count) == (MeasurementState.LEASED, 2)


def test_agent_that_reconnects_in_time_keeps_its_lease(
    world: World, good: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create()
    lease = world.lease()
    world.fleet.disconnect(device, "cable")
    world.fleet.connect(device, _description(world, device), [lease])
    assert world.fleet.report(device, lease, good, target).accepted


def test_agent_is_told_to_drop_what_it_no_longer_holds(world: World) -> None:
    device = world.join("a")
    stale = LeaseKey("measurements/gone", 7)
    world.fleet.heartbeat(device, [stale])
    assert world.listener.revocations == [(device, stale)]


def test_controller_that_was_killed_keeps_leases_and_queue(
    world: World, good: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create("m1")
    world.create("m2")
    lease = world.lease("m1")
    world.restart()
    assert world.fleet.devices.get(device).state is DeviceState.OFFLINE
    assert world.fleet.devices.get(device).holder == "measurements/m1"
    world.fleet.connect(device, _description(world, device), [lease])
    assert world.fleet.report(device, lease, good, target).accepted
    assert world.book.get("m2").fencing_token == lease.fencing_token + 1


def test_device_is_free_after_a_restart_though_it_was_stored_with_work(
    world: World, good: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create("m1")
    lease = world.lease("m1")
    world.fleet.connect(device, _description(world, device), [lease])  # stores the device as it is now
    world.fleet.report(device, lease, good, target)
    world.restart()
    assert world.fleet.devices.get(device).holder == ""
    world.fleet.connect(device, _description(world, device), [])
    world.create("m2")
    assert world.book.get("m2").state is MeasurementState.LEASED


def test_lease_of_an_agent_that_stays_away_ends_after_a_restart(world: World) -> None:
    world.join("a")
    world.create()
    world.restart()
    world.pass_time(9)
    assert world.book.get("m").state is MeasurementState.LEASED
    world.pass_time(2)
    assert world.book.get("m").state is MeasurementState.QUEUED


def test_queued_measurement_can_be_cancelled(world: World) -> None:
    world.create()
    assert world.book.cancel("m").state is MeasurementState.CANCELLED
    world.join("a")
    assert world.listener.assignments == []


def test_leased_measurement_can_be_cancelled(world: World, good: Measurement, target: Target) -> None:
    device = world.join("a")
    world.create()
    lease = world.lease()
    world.book.cancel("m")
    assert world.listener.revocations == [(device, lease)]
    assert world.fleet.devices.get(device).holder == ""
    assert "cancelled already" in world.fleet.report(device, lease, good, target).reason


def test_cancelling_twice_is_cancelling_once(world: World) -> None:
    world.create()
    assert world.book.cancel("m") == world.book.cancel("m")


def test_done_measurement_cannot_be_cancelled(world: World, good: Measurement, target: Target) -> None:
    world.join("a")
    world.create()
    world.fleet.report("devices/a", world.lease(), good, target)
    with pytest.raises(FailedPreconditionError, match="done already"):
        world.book.cancel("m")


def test_failed_measurement_cannot_be_cancelled(world: World) -> None:
    world.join("a")
    world.create()
    world.fleet.report("devices/a", world.lease(), MODEL, None)
    with pytest.raises(FailedPreconditionError, match="failed already"):
        world.book.cancel("m")


def test_drained_device_finishes_and_takes_no_more(world: World, good: Measurement, target: Target) -> None:
    device = world.join("a")
    world.create("m1")
    world.create("m2")
    assert world.fleet.set_drained(device, True).state is DeviceState.DRAINING
    world.fleet.report(device, world.lease("m1"), good, target)
    assert world.book.get("m2").state is MeasurementState.QUEUED
    world.fleet.set_drained(device, False)
    assert world.book.get("m2").state is MeasurementState.LEASED


def test_drain_survives_restart_and_reconnect(world: World) -> None:
    device = world.join("a")
    world.fleet.set_drained(device, True)
    world.restart()
    world.fleet.connect(device, _description(world, device), [])
    assert world.fleet.devices.get(device).state is DeviceState.DRAINING


def test_device_that_is_not_drained_cannot_be_undrained(world: World) -> None:
    with pytest.raises(FailedPreconditionError, match="not drained"):
        world.fleet.set_drained(world.join("a"), False)


def test_work_of_a_removed_device_is_queued_again(world: World) -> None:
    device = world.join("a")
    world.create()
    world.fleet.remove(device)
    assert world.book.get("m").state is MeasurementState.QUEUED
    assert device in world.listener.expulsions


def _description(world: World, device: str) -> Any:
    from fleetnas_controller.devices import DeviceDescription

    known = world.fleet.devices.get(device)
    return DeviceDescription(known.model, known.kind, known.targets, known.labels)


@pytest.mark.parametrize(
    ("heartbeat_s", "lease_s"), [(0.0, 10.0), (2.0, 3.0), (float("nan"), 10.0), (1.0, 1e9)]
)
def test_lease_that_heartbeats_cannot_keep_is_refused(heartbeat_s: float, lease_s: float) -> None:
    with pytest.raises(InvalidArgumentError, match="heartbeats every"):
        FleetSettings(heartbeat_s=heartbeat_s, lease_s=lease_s)
