"""Laws of the scheduler."""

from hypothesis import given
from hypothesis import strategies as st

from fleetnas_controller.jobs import (
    Device,
    DeviceState,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    Selector,
)
from fleetnas_controller.scheduler import MeasurementQueue
from fleetnas_controller.scheduler import assign as assign_queue
from fleetnas_latency.target import Target

MODELS = st.sampled_from(["", "rk3288", "pixel"])


def device(index: int, model: str, fencing_token: int = 0) -> Device:
    target = (Target(model, "onnxruntime", "1"),)
    return Device(
        f"devices/{index}", model, "host", target, DeviceState.ONLINE, 0.0, fencing_token=fencing_token
    )


def record(index: int, model: str, priority: int, age_s: float, retry_time: float = 0.0) -> MeasurementRecord:
    request = MeasurementRequest(str(index), (), "", selector=Selector(model=model), priority=priority)
    state = MeasurementState.QUEUED
    return MeasurementRecord(f"measurements/{index}", request, state, 100 - age_s, 0.0, retry_time=retry_time)


def assign(
    records: list[MeasurementRecord], devices: list[Device], now: float
) -> list[tuple[MeasurementRecord, Device]]:
    queue = MeasurementQueue()
    for one in records:
        queue.put(one)
    return assign_queue(queue, devices, now)


DEVICES = st.lists(MODELS, max_size=6).map(lambda models: [device(i, m) for i, m in enumerate(models)])
RECORDS = st.lists(
    st.tuples(MODELS, st.integers(-2, 2), st.floats(0, 100), st.sampled_from([0.0, 50.0, 200.0])), max_size=12
).map(lambda rows: [record(index, *row) for index, row in enumerate(rows)])


@given(RECORDS, DEVICES)
def test_nobody_is_assigned_twice(records: list[MeasurementRecord], devices: list[Device]) -> None:
    pairs = assign(records, devices, 100.0)
    assert len({one.name for one, _ in pairs}) == len({one.name for _, one in pairs}) == len(pairs)


@given(RECORDS, DEVICES)
def test_assignment_matches_and_is_ripe(records: list[MeasurementRecord], devices: list[Device]) -> None:
    for one, holder in assign(records, devices, 100.0):
        assert one.request.selector.matches(holder)
        assert one.retry_time <= 100.0


@given(RECORDS, DEVICES)
def test_no_free_device_is_left_for_a_ripe_match(
    records: list[MeasurementRecord], devices: list[Device]
) -> None:
    pairs = assign(records, devices, 100.0)
    taken = {holder.name for _, holder in pairs}
    waiting = [one for one in records if one.retry_time <= 100.0 and one not in [pair[0] for pair in pairs]]
    free = [one for one in devices if one.name not in taken]
    assert not any(one.request.selector.matches(holder) for one in waiting for holder in free)


def test_priority_goes_before_age() -> None:
    old, urgent = record(0, "", 0, 90.0), record(1, "", 1, 1.0)
    assert assign([old, urgent], [device(0, "")], 100.0) == [(urgent, device(0, ""))]


def test_equal_priority_goes_by_age() -> None:
    young, old = record(0, "", 0, 1.0), record(1, "", 0, 90.0)
    assert assign([young, old], [device(0, "")], 100.0)[0][0] is old


def test_first_device_that_fits_is_taken() -> None:
    first, second = device(0, "pixel"), device(1, "rk3288")
    assert assign([record(0, "rk3288", 0, 1.0)], [first, second], 100.0)[0][1] is second
    assert assign([record(0, "", 0, 1.0)], [first, second], 100.0)[0][1] is first


@given(RECORDS)
def test_position_is_the_place_in_the_order(records: list[MeasurementRecord]) -> None:
    queue = MeasurementQueue()
    for one in records:
        queue.put(one)
    devices = [device(index, model) for index, model in enumerate(("", "rk3288", "pixel"))]
    order = [one.name for one in queue.matching(devices)]
    assert [queue.position(name) for name in order] == list(range(1, len(records) + 1))


@given(RECORDS, st.data())
def test_what_is_taken_out_is_gone_and_the_rest_moves_up(
    records: list[MeasurementRecord], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from([one.name for one in records]))) if records else set()
    queue, smaller = MeasurementQueue(), MeasurementQueue()
    for one in records:
        queue.put(one)
        if one.name not in gone:
            smaller.put(one)
    for name in gone:
        queue.discard(name)
    queue.discard("measurements/absent")
    assert [queue.position(one.name) for one in records] == [smaller.position(one.name) for one in records]
    assert len(queue) == len(smaller)


def test_selector_reads_id_name_runtime_and_labels() -> None:
    one = Device(
        "devices/a", "m", "host", (Target("m", "ncnn", "1"),), DeviceState.ONLINE, 0.0, (("rack", "2"),)
    )
    assert Selector(device="a").matches(one)
    assert Selector(device="devices/a").matches(one)
    assert Selector(runtime="ncnn", labels=(("rack", "2"),)).matches(one)
    assert not Selector(runtime="onnxruntime").matches(one)
    assert not Selector(labels=(("rack", "3"),)).matches(one)
