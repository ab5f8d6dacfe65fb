"""Laws of the fleet under any order of events, restarts included."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlite_utils import Database

from fleetnas_controller.fleet_store import SqliteFleetStore
from fleetnas_controller.jobs import Fault, FaultKind, Limits, MeasurementState
from fleetnas_controller.leases import LeaseKey
from fleetnas_latency.measurement import Measurement, in_one
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError

DEVICES = ("devices/a", "devices/b")
FAULTS = st.sampled_from([Fault(kind, "played") for kind in FaultKind])


class FleetMachine(RuleBasedStateMachine):
    """Two devices, any number of measurements; remembers every lease that was ever handed out."""

    make_world: Any
    batch: Any
    good: Measurement
    bad: Measurement
    pair: Measurement
    half: Measurement
    target: Target

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(memory=True)
        self.world = type(self).make_world(Path(self.folder.name), SqliteFleetStore(self.database))
        self.count = 0
        self.leases: list[tuple[str, LeaseKey]] = []
        self.ended: dict[str, tuple[MeasurementState, str, int]] = {}
        for device in "ab":
            self.world.join(device)

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def note_leases(self) -> None:
        for record in self.world.listener.assignments:
            self.leases.append((record.device, LeaseKey(record.name, record.fencing_token)))
        self.world.listener.assignments.clear()

    @rule(priority=st.integers(0, 2), in_turns=st.booleans())
    def create(self, priority: int, in_turns: bool) -> None:
        self.count += 1
        limits = Limits(device_s=60.0, total_s=20.0)
        fields = type(self).batch("b.onnx") if in_turns else {}
        self.world.create(f"m{self.count}", priority=priority, limits=limits, **fields)

    @rule(seconds=st.integers(1, 15), alive=st.booleans())
    def time_passes(self, seconds: int, alive: bool) -> None:
        there = [one.name for one in self.world.fleet.devices.all()] if alive else []
        self.world.pass_time(seconds, *there)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=st.sampled_from(["good", "bad", "pair", "half"]) | FAULTS)
    def report(self, data: st.DataObject, outcome: Any) -> None:
        device, lease = data.draw(st.sampled_from(self.leases))
        result = getattr(self, outcome) if isinstance(outcome, str) else outcome
        before = self.world.fleet.find(lease.measurement)
        answer = self.world.fleet.report(device, lease, result, self.target)
        assert not (answer.accepted and before.state.finished)
        if answer.accepted and isinstance(result, Measurement):
            assert len(result.batch) == 1 + len(before.request.companion_files)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), step=st.integers(1, 3))
    def forge(self, data: st.DataObject, step: int) -> None:
        _, lease = data.draw(st.sampled_from(self.leases))
        device = data.draw(st.sampled_from(DEVICES))
        forged = LeaseKey(lease.measurement, lease.fencing_token + step)
        if (device, forged) not in self.leases:
            assert not self.world.fleet.report(device, forged, self.good, self.target).accepted

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.count))
        try:
            self.world.book.cancel(f"m{number}")
        except FailedPreconditionError:
            assert self.world.book.get(f"m{number}").state.finished

    @rule(device=st.sampled_from(DEVICES), holds=st.booleans())
    def reconnect(self, device: str, holds: bool) -> None:
        try:
            known = self.world.fleet.devices.get(device)
        except NotFoundError:
            self.world.join(device.removeprefix("devices/"))
            return
        held = [LeaseKey(known.holder, known.fencing_token)] if holds and known.holder else []
        from fleetnas_controller.devices import DeviceDescription

        description = DeviceDescription(known.model, known.kind, known.targets, batches=known.batches)
        self.world.fleet.connect(device, description, held)

    @rule(device=st.sampled_from(DEVICES))
    def disconnect(self, device: str) -> None:
        self.world.fleet.disconnect(device, "played")

    @rule(device=st.sampled_from(DEVICES))
    def remove(self, device: str) -> None:
        if self.world.fleet.devices.knows(device):
            self.world.fleet.remove(device)

    @rule(device=st.sampled_from(DEVICES), drained=st.booleans())
    def drain(self, device: str, drained: bool) -> None:
        if self.world.fleet.devices.knows(device) and (
            drained or self.world.fleet.devices.get(device).drained
        ):
            self.world.fleet.set_drained(device, drained)

    @rule()
    def restart(self) -> None:
        self.note_leases()
        self.world.restart()

    @invariant()
    def laws_hold(self) -> None:
        self.note_leases()
        records = self.world.book.list(1000, "").items
        assert len(records) == self.count
        leased = [one for one in records if one.state is MeasurementState.LEASED]
        assert len({one.device for one in leased}) == len(leased)
        for one in leased:
            if self.world.fleet.devices.knows(one.device):
                device = self.world.fleet.devices.get(one.device)
                assert (device.holder, device.fencing_token) == (one.name, one.fencing_token)
        held = {one.holder for one in self.world.fleet.devices.all()} - {""}
        assert held <= {one.name for one in leased}
        tokens = [(device, lease.fencing_token) for device, lease in self.leases]
        assert len(set(tokens)) == len(tokens)
        for one in records:
            assert one.attempt_count == sum(lease.measurement == one.name for _, lease in self.leases)
            if one.name in self.ended:
                assert self.ended[one.name] == (one.state, one.device, one.fencing_token)
            if one.state.finished:
                self.ended[one.name] = (one.state, one.device, one.fencing_token)
                assert (one.result is not None) == (one.state is MeasurementState.DONE)
                assert one.state is not MeasurementState.FAILED or one.fault is not None
        positions = sorted(one.queue_position for one in records if one.state is MeasurementState.QUEUED)
        assert positions == list(range(1, len(positions) + 1))


@pytest.fixture
def machine(
    make_fleet_world: Any, batch: Any, good: Measurement, bad: Measurement, target: Target
) -> type[FleetMachine]:
    parts = {
        "make_world": staticmethod(make_fleet_world),
        "batch": staticmethod(batch),
        "good": good,
        "bad": bad,
        "pair": in_one([good, good]),
        "half": in_one([good, bad]),
        "target": target,
    }
    return type("Machine", (FleetMachine,), parts)


def test_laws_hold_in_any_order_of_events(machine: type[FleetMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
