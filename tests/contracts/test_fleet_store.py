"""What every FleetStore promises."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from fleetnas_controller.fleet_store import FleetStore, SqliteFleetStore, open_fleet_store
from fleetnas_controller.jobs import (
    Device,
    DeviceState,
    Fault,
    FaultKind,
    Grant,
    JoinToken,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Role,
)
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, judge
from fleetnas_latency.target import Target

TARGET = Target("board", "onnxruntime", "1.0")
DEVICE = Device("devices/a", "board", "host", (TARGET,), DeviceState.OFFLINE, 5.0, (("rack", "2"),))
REQUEST = MeasurementRequest("m", (ModelFile("net.onnx", "0" * 64, 3),), "net.onnx")
QUEUED = MeasurementRecord("measurements/m", REQUEST, MeasurementState.QUEUED, 1.5, 2.5)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FleetStore]:
    made = (
        open_fleet_store(tmp_path / "store.db")
        if request.param == "file"
        else SqliteFleetStore(Database(memory=True))
    )
    yield made
    made.close()


def test_measurement_comes_back_whole(store: FleetStore) -> None:
    runs = (1.0, 1.25, 0.75) * 20
    series = RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(index // 6 for index in range(60)))
    result = judge(RawMeasurement(candidate=series), Plan(), Evidence((("governor", "performance"),), (1.0,)))
    done = replace(
        QUEUED,
        state=MeasurementState.DONE,
        attempt_count=2,
        crash_count=1,
        device="devices/a",
        fencing_token=7,
        lease_time=3.0,
        retry_time=4.0,
        target=TARGET,
        result=result,
        fault=Fault(FaultKind.CRASH, "signal 11"),
    )
    store.put_measurement(done)
    assert store.measurement("measurements/m") == done


def test_later_state_replaces_the_earlier_one(store: FleetStore) -> None:
    store.put_measurement(QUEUED)
    failed = replace(QUEUED, state=MeasurementState.FAILED, fault=Fault(FaultKind.MODEL, "no such operator"))
    store.put_measurement(failed)
    assert store.measurements(0, 10) == ((1, failed),)


def test_unknown_names_give_none(store: FleetStore) -> None:
    assert store.measurement("measurements/none") is None
    assert store.join_token("none") is None
    assert store.device_by_credential("none") is None
    assert store.leased_measurement("devices/a", 1) is None


def test_only_unfinished_ones_are_recovered_in_order(store: FleetStore) -> None:
    leased = replace(QUEUED, name="measurements/z", state=MeasurementState.LEASED)
    store.put_measurement(leased)
    store.put_measurement(QUEUED)
    store.put_measurement(replace(QUEUED, name="measurements/c", state=MeasurementState.CANCELLED))
    assert store.unfinished_measurements() == (leased, QUEUED)


def test_list_goes_on_after_a_number(store: FleetStore) -> None:
    for name in ("c", "a", "b"):
        store.put_measurement(replace(QUEUED, name=f"measurements/{name}"))
    first = store.measurements(0, 2)
    assert [one.name for _, one in (*first, *store.measurements(first[-1][0], 2))] == [
        "measurements/c",
        "measurements/a",
        "measurements/b",
    ]


def test_transaction_keeps_all_or_nothing(store: FleetStore) -> None:
    with pytest.raises(RuntimeError, match="killed"), store.transaction():  # noqa: PT012
        store.put_measurement(QUEUED)
        store.put_lease("devices/a", 1, QUEUED.name, 3.0)
        raise RuntimeError("killed")
    assert store.measurement(QUEUED.name) is None
    assert store.last_fencing_token("devices/a") == 0


def test_leases_remember_who_had_what(store: FleetStore) -> None:
    store.put_lease("devices/a", 3, "measurements/m", 1.0)
    store.put_lease("devices/b", 9, "measurements/n", 1.0)
    assert store.leased_measurement("devices/a", 3) == "measurements/m"
    assert store.last_fencing_token("devices/a") == 3


def test_removed_device_leaves_its_last_token(store: FleetStore) -> None:
    store.enrol_device(DEVICE, "credential")
    store.put_lease(DEVICE.name, 4, "measurements/m", 1.0)
    store.remove_device(DEVICE.name)
    assert store.devices() == ()
    assert store.last_fencing_token(DEVICE.name) == 4


def test_device_comes_back_and_changes(store: FleetStore) -> None:
    store.enrol_device(DEVICE, "credential")
    drained = replace(DEVICE, drained=True)
    store.put_device(drained)
    assert store.devices() == (drained,)


def test_newer_credential_replaces_the_older(store: FleetStore) -> None:
    store.enrol_device(DEVICE, "old")
    store.enrol_device(DEVICE, "new")
    assert store.device_by_credential("new") == DEVICE.name
    assert store.device_by_credential("old") is None


def test_join_token_comes_back_without_its_secret(store: FleetStore) -> None:
    store.put_join_token("hash", JoinToken("secret", "a", 3, 99.5))
    assert store.join_token("hash") == JoinToken("", "a", 3, 99.5)


def test_grants_are_kept_until_their_name_is_removed(store: FleetStore) -> None:
    first, second = Grant("devices/a", Role.AGENT, 1.0, 9.5), Grant("grants/alice", Role.VIEWER, 2.0, 8.0)
    store.put_grant("1", first)
    store.put_grant("2", replace(first, create_time=3.0))
    store.put_grant("3", second)
    assert store.grant("1") == first
    assert store.grants() == (first, replace(first, create_time=3.0), second)
    store.remove_grants("devices/a")
    store.remove_grants("nobody")
    assert store.grant("2") is None
    assert store.grants() == (second,)


def test_join_tokens_that_expired_long_ago_are_purged_and_no_others(store: FleetStore) -> None:
    store.put_join_token("old", JoinToken("", "", 1, 99.0))
    store.put_join_token("new", JoinToken("", "", 1, 100.0))
    store.purge_join_tokens(100.0)
    assert store.join_token("old") is None
    assert store.join_token("new") is not None


def test_inner_transaction_is_part_of_the_outer_one(store: FleetStore) -> None:
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        with store.transaction():
            store.put_measurement(QUEUED)
        raise RuntimeError("the controller is broken")
    assert store.measurement(QUEUED.name) is None


def test_enrolment_is_remembered_until_its_token_is_purged_or_its_device_removed(store: FleetStore) -> None:
    assert store.enrolled("hash") is None
    for name, device, expire_time in (("hash", DEVICE.name, 100.0), ("old", "devices/b", 99.0)):
        store.put_enrolment(name, device, expire_time)
    assert (store.enrolled("hash"), store.enrolled("old")) == (DEVICE.name, "devices/b")
    store.purge_join_tokens(100.0)
    assert (store.enrolled("hash"), store.enrolled("old")) == (DEVICE.name, None)
    store.remove_device(DEVICE.name)
    assert store.enrolled("hash") is None
