"""Checks of simulated devices on a clock that only the test moves."""

import hashlib
import math
from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.health import CheckOutcome, CheckTrigger, HealthSettings
from fleetnas_controller.health_monitor import HealthMonitor
from fleetnas_controller.health_store import SqliteHealthStore
from fleetnas_controller.jobs import (
    MAX_PRIORITY,
    Artifact,
    DeviceState,
    Fault,
    FaultKind,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
)
from fleetnas_controller.leases import LeaseKey
from fleetnas_controller.listeners import Listeners
from fleetnas_latency.measurement import Measurement, Verdict
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError

World = Any
SETTINGS = HealthSettings(
    interval_s=600.0, cool_down_s=30.0, repeat_limit=1, strike_retry_s=60.0, suspicion_count=2
)


class Lab:
    """A world whose devices answer what is put into ``speed``: milliseconds of the anchor."""

    def __init__(self, world: World, good: Measurement, target: Target, settings: HealthSettings) -> None:
        self.world = world
        self._good = good
        self._target = target
        self._settings = settings
        self.anchor_ms: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """What a kill and a new start leave."""
        self.world.restart()
        listeners = Listeners(self.world.listener)
        world = self.world
        world.fleet = Fleet(world.store, world.enrolment, world.clock, listeners, world.settings)
        world.book._fleet = world.fleet
        self.monitor = HealthMonitor(
            world.fleet,
            world.store,
            SqliteHealthStore(world.store.database),
            world.artifacts,
            world.clock,
            self._settings,
        )
        listeners.add(self.monitor)

    def result(self, value_ms: float, **fields: Any) -> Measurement:
        estimate = Estimate(value_ms, value_ms * 0.999, value_ms * 1.001)
        steady = (value_ms,) * len(self._good.raw.candidate.wall_ms)
        series = replace(self._good.raw.candidate, wall_ms=steady, cpu_ms=steady)
        raw = replace(self._good.raw, candidate=series)
        return replace(self._good, **{"estimate": estimate, "raw": raw, "others": (), **fields})

    def holder(self, device: str) -> str:
        return str(self.world.fleet.devices.get(device).holder)

    def answer(self, device: str, outcome: Measurement | Fault) -> None:
        record = self.world.fleet.find(self.holder(device))
        lease = LeaseKey(record.name, record.fencing_token)
        if isinstance(outcome, Measurement):
            outcome = replace(outcome, statistic=record.request.plan.statistic)
        assert self.world.fleet.report(device, lease, outcome, self._target).accepted

    def pass_time(self, seconds: float, step_s: float = 5.0) -> None:
        """Devices are alive and answer checks at once; ordinary work stays with them."""
        for _ in range(round(seconds / step_s)):
            self.world.clock.now += step_s
            for device in self.anchor_ms:
                held = self.holder(device)
                record = self.world.fleet.find(held) if held else None
                if record is not None and record.request.priority > MAX_PRIORITY:
                    self.answer(device, self.result(self.anchor_ms[device]))
                    record = self.world.fleet.find(self.holder(device)) if self.holder(device) else None
                leases = [LeaseKey(record.name, record.fencing_token)] if record else []
                self.world.fleet.heartbeat(device, leases)
            self.world.fleet.tick()
            self.monitor.tick()

    def join(self, device_id: str = "a", anchor_ms: float = 2.0) -> str:
        device = str(self.world.join(device_id))
        self.anchor_ms[device] = anchor_ms
        return device

    def state(self, device: str = "devices/a") -> DeviceState:
        found: DeviceState = self.world.fleet.devices.get(device).state
        return found

    def outcomes(self, device: str = "devices/a") -> list[CheckOutcome]:
        return [one.outcome for one in reversed(self.monitor.history(device, 0, 100))]


@pytest.fixture
def lab(world: World, good: Measurement, target: Target) -> Lab:
    return Lab(world, good, target, SETTINGS)


P, D, S = CheckOutcome.PASSED, CheckOutcome.DOUBTFUL, CheckOutcome.STRIKE


def test_device_is_checked_at_enrolment_and_then_at_intervals(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(1_300)
    history = lab.monitor.history(device, 0, 10)
    assert [one.trigger for one in reversed(history)] == [
        CheckTrigger.ENROLMENT,
        CheckTrigger.INTERVAL,
        CheckTrigger.INTERVAL,
    ]
    assert [one.number for one in history] == [3, 2, 1]
    assert lab.outcomes() == [P, P, P]
    assert 600.0 <= history[0].check_time - history[1].check_time <= 620.0


def test_check_goes_before_the_work_of_clients(lab: Lab) -> None:
    lab.world.create("m", priority=MAX_PRIORITY)
    device = lab.join()
    lab.answer(device, lab.result(1.0))
    lab.world.create("m2", priority=MAX_PRIORITY)
    lab.monitor.tick()
    assert lab.holder(device) == "measurements/m2"
    lab.world.create("m3", priority=MAX_PRIORITY)
    lab.answer(device, lab.result(1.0))
    assert lab.holder(device).startswith("measurements/health-")


def test_clients_cannot_push_before_checks(lab: Lab) -> None:
    with pytest.raises(InvalidArgumentError, match="priority"):
        lab.world.create("m", priority=MAX_PRIORITY + 1)


def test_device_in_doubt_cools_down_without_work_and_comes_back(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(20)
    lab.anchor_ms[device] = 2.2
    lab.pass_time(605)
    assert lab.state() is DeviceState.COOLING
    assert "+10.0%" in lab.world.fleet.devices.get(device).reason
    assert lab.world.create("m").state is MeasurementState.QUEUED
    lab.anchor_ms[device] = 2.0
    lab.pass_time(45)
    assert lab.outcomes() == [P, D, P]
    assert lab.holder(device) == "measurements/m"


def quarantined(lab: Lab) -> str:
    device = lab.join()
    lab.pass_time(20)
    lab.anchor_ms[device] = 2.3
    lab.pass_time(900)
    assert lab.state() is DeviceState.QUARANTINED
    assert lab.outcomes() == [P, D, S, D, S]
    return device


def test_device_that_stays_off_is_quarantined_with_the_first_reason(lab: Lab) -> None:
    device = quarantined(lab)
    shown = lab.world.fleet.devices.get(device)
    assert "+15.0%" in shown.reason
    assert shown.reason == shown.quarantine_reason
    assert lab.world.create("m").state is MeasurementState.QUEUED


def test_work_goes_to_the_devices_that_are_well(lab: Lab) -> None:
    quarantined(lab)
    other = lab.join("b")
    lab.pass_time(20)
    lab.world.create("m")
    assert lab.holder(other) == "measurements/m"


def test_quarantine_survives_restart_and_reconnect(lab: Lab) -> None:
    device = quarantined(lab)
    reason = lab.world.fleet.devices.get(device).reason
    lab.start()
    lab.world.join(device.removeprefix("devices/"))
    shown = lab.world.fleet.devices.get(device)
    assert (shown.state, shown.reason) == (DeviceState.QUARANTINED, reason)
    assert lab.outcomes() == [P, D, S, D, S]


def test_passed_check_ends_the_quarantine(lab: Lab) -> None:
    device = quarantined(lab)
    lab.anchor_ms[device] = 2.0
    lab.monitor.check(device)
    lab.pass_time(10)
    assert lab.state() is DeviceState.ONLINE
    assert lab.monitor.history(device, 0, 1)[0].trigger is CheckTrigger.REQUEST


def test_operators_word_ends_the_quarantine_and_makes_a_new_baseline(lab: Lab) -> None:
    device = quarantined(lab)
    assert lab.monitor.release(device).state is DeviceState.ONLINE
    lab.pass_time(700)
    assert lab.outcomes()[5:] == [CheckOutcome.RELEASED, P, P]
    assert lab.monitor.standing(device).baselines[0].values_ms == (2.3, 2.3)


def test_device_in_good_standing_cannot_be_released(lab: Lab) -> None:
    with pytest.raises(FailedPreconditionError, match="not in quarantine"):
        lab.monitor.release(lab.join())


def test_work_that_a_device_took_just_before_its_quarantine_goes_elsewhere(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(20)
    lab.anchor_ms[device] = 2.3
    lab.world.create("m")
    lab.monitor.check(device)
    lab.answer(device, lab.result(1.0))  # what it holds; the check is next
    lab.world.create("m2")
    lab.answer(device, lab.result(2.3))  # the check; m2 is leased in the same breath
    assert lab.holder(device) == "measurements/m2"
    lab.monitor.tick()
    assert lab.holder(device) == ""
    assert lab.world.book.get("m2").state is MeasurementState.QUEUED


def test_second_request_joins_the_check_under_way(lab: Lab) -> None:
    device = lab.join()
    assert lab.monitor.check(device).name == lab.monitor.check(device).name


def test_device_that_is_away_takes_no_check(lab: Lab) -> None:
    lab.world.enrol("a")
    with pytest.raises(FailedPreconditionError, match="offline"):
        lab.monitor.check("devices/a")
    with pytest.raises(NotFoundError):
        lab.monitor.check("devices/none")


def test_bad_ends_in_a_row_ask_for_a_check(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(100)
    for name in ("m1", "m2"):
        lab.world.create(name)
        lab.answer(device, lab.result(1.0, verdict=Verdict.THROTTLED))
    lab.pass_time(10)
    assert lab.monitor.history(device, 0, 1)[0].trigger is CheckTrigger.SUSPICION


def test_results_that_nothing_can_have_measured_ask_for_a_check(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(100)
    lab.world.create("m")
    for _ in range(2):
        lab.pass_time(10)
        lab.answer(device, lab.result(math.nan))
        assert lab.world.book.get("m").fault.kind is FaultKind.UNSOUND
    lab.world.book.cancel("m")
    lab.pass_time(10)
    assert lab.monitor.history(device, 0, 1)[0].trigger is CheckTrigger.SUSPICION


def test_crash_and_good_end_ask_for_none(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(100)
    for name, outcome in (
        ("m1", Fault(FaultKind.CRASH, "signal 11")),
        ("m2", lab.result(1.0)),
        ("m3", lab.result(1.0, verdict=Verdict.THROTTLED)),
    ):
        lab.world.create(name)
        lab.answer(device, outcome)
    lab.pass_time(10)
    assert len(lab.outcomes()) == 1


def test_device_that_contradicts_itself_gets_a_strike(lab: Lab) -> None:
    device = lab.join()
    lab.pass_time(20)
    for index in range(8):
        runs = tuple(1.0 + (index if number % 2 else 30 - 3 * index) for number in range(20))
        rounds = tuple(range(20))
        good = lab.result(16.0 - index)
        candidate = replace(good.raw.candidate, wall_ms=runs, cpu_ms=runs, rounds=rounds)
        # Another network each time, as far as the controller can tell by its file.
        content = f"network {index}".encode()
        files = uploaded(lab.world, content)
        lab.world.book.create(MeasurementRequest(f"m{index}", files, "net.onnx"))
        lab.answer(device, replace(good, raw=replace(good.raw, candidate=candidate)))
    lab.monitor.check(device)
    lab.pass_time(10)
    latest = lab.monitor.history(device, 0, 1)[0]
    assert latest.agreement is not None
    assert latest.agreement < 0.0
    assert latest.outcome is S


def uploaded(world: World, content: bytes) -> tuple[ModelFile, ...]:
    artifact = Artifact(hashlib.sha256(content).hexdigest(), len(content))
    with world.artifacts.writer(artifact) as writer:
        writer.write(content)
    return (ModelFile("net.onnx", artifact.sha256, artifact.size_bytes),)


def test_controller_killed_between_result_and_judgement_judges_at_the_next_start(lab: Lab) -> None:
    device = lab.join()
    lab.monitor.tick()
    lab.answer(device, lab.result(2.0))
    lab.start()
    lab.monitor.tick()
    assert lab.outcomes() == [P]


def test_controller_killed_during_a_check_goes_on_with_it(lab: Lab) -> None:
    device = lab.join()
    lab.monitor.tick()
    name = lab.holder(device)
    lab.start()
    lab.world.fleet.connect(device, description(lab, device), [LeaseKey(name, 1)])
    lab.monitor.tick()
    lab.answer(device, lab.result(2.0))
    lab.monitor.tick()
    assert [one.measurement for one in lab.monitor.history(device, 0, 9)] == [name]


def test_controller_killed_before_the_device_was_marked_marks_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = lab.join()
    lab.pass_time(20)
    lab.anchor_ms[device] = 2.3

    def killed(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(lab.world.fleet, "set_health", killed)
    with pytest.raises(RuntimeError, match="killed"):
        lab.pass_time(700)
    lab.start()
    lab.world.fleet.connect(device, description(lab, device), [])
    assert lab.state() is DeviceState.COOLING


def test_removed_device_leaves_no_history(lab: Lab) -> None:
    device = quarantined(lab)
    lab.world.fleet.remove(device)
    lab.world.clock.now += 1.0
    lab.join()
    assert lab.state() is DeviceState.ONLINE
    assert lab.outcomes() == []


def test_quarantined_device_that_enrols_anew_is_still_quarantined(lab: Lab) -> None:
    device = quarantined(lab)
    lab.join()
    assert lab.world.fleet.devices.get(device).state is DeviceState.QUARANTINED


def test_without_automatic_checks_only_an_operator_asks(
    world: World, good: Measurement, target: Target
) -> None:
    lab = Lab(world, good, target, replace(SETTINGS, automatic=False))
    device = lab.join()
    lab.pass_time(1_300)
    assert lab.outcomes() == []
    lab.monitor.check(device)
    lab.pass_time(10)
    assert lab.outcomes() == [P]


def test_devices_that_come_at_once_are_checked_a_few_at_a_time(lab: Lab) -> None:
    for index in range(12):
        lab.world.join(f"d{index}")
    lab.monitor.tick()
    assert len(lab.world.fleet.unfinished) == 10
    lab.monitor.tick()
    assert len(lab.world.fleet.unfinished) == 12


def test_history_keeps_the_latest_thousand(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetnas_controller.health_store._KEPT_COUNT", 3)
    device = lab.join()
    lab.pass_time(3_700)
    assert [one.number for one in lab.monitor.history(device, 0, 10)] == [7, 6, 5]
    assert [one.number for one in lab.monitor.history(device, 6, 10)] == [5]


def description(lab: Lab, device: str) -> Any:
    known = lab.world.fleet.devices.get(device)
    return DeviceDescription(known.model, known.kind, known.targets, known.labels)
