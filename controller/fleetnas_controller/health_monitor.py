"""Asks for health checks when they are due and acts on what they say."""

__all__ = ["HealthMonitor"]

import hashlib
from collections import deque
from collections.abc import Callable

from fleetnas_controller.agreement import Halves, halves_of, self_agreement
from fleetnas_controller.anchor import anchor_model
from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.health import (
    CheckOutcome,
    CheckTrigger,
    HealthCheck,
    HealthSettings,
    Standing,
    judge_check,
)
from fleetnas_controller.health_store import HealthStore
from fleetnas_controller.jobs import (
    MAX_PRIORITY,
    Artifact,
    Device,
    DeviceState,
    FaultKind,
    Limits,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
    measurement_name,
)
from fleetnas_controller.leases import LeaseKey
from fleetnas_latency.measurement import Plan, Verdict
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError

_CHECKABLE = (DeviceState.ONLINE, DeviceState.QUARANTINED, DeviceState.COOLING)
_ENTRY_FILE = "anchor.onnx"
_TRIGGER_LABEL = "health_check"
_RECENT_COUNT = 30
_LIMITS = Limits(device_s=600.0, silence_s=60.0, total_s=120.0)
_MAX_SAMPLING_S = 6.0
# A thousand devices that come back at once must not hold up the fleet's clock: each new one costs a dispatch.
_BEGUN_A_TICK = 10


class HealthMonitor:
    """A ``FleetListener`` beside the fleet, on the same thread.

    A check is an ordinary measurement of the anchor, named after the device's enrolment and the check's number,
    so that a controller which is killed finds it again: whatever was not yet judged is judged at the next start.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        fleet: Fleet,
        fleet_store: FleetStore,
        store: HealthStore,
        artifacts: ArtifactFolder,
        clock: Callable[[], float],
        settings: HealthSettings,
    ) -> None:
        self._fleet = fleet
        self._fleet_store = fleet_store
        self._store = store
        self._clock = clock
        self._settings = settings
        self._artifacts = artifacts
        self._file = _stored_anchor(artifacts) if settings.automatic else None
        self._standings = {one.device: one for one in store.standings()}
        self._pending: dict[str, str] = {}
        self._ended: deque[MeasurementRecord] = deque()
        self._recent: dict[str, deque[Halves]] = {}
        self._holders: dict[str, str] = {}
        self._bad_ends: dict[str, int] = {}
        self._recover()

    # What operators ask

    def check(self, device: str) -> MeasurementRecord:
        """Asks for a check now; the one that is under way counts.

        Raises:
            NotFoundError: No such device.
            FailedPreconditionError: The device takes no check in its state.
        """
        known = self._fleet.devices.get(device)
        if device not in self._pending:
            if known.state not in _CHECKABLE:
                raise FailedPreconditionError(
                    f"device '{known.device_id}' is {known.state} ({known.reason}) and takes no health check. "
                    "Connect or undrain it first."
                )
            self._begin(known, CheckTrigger.REQUEST)
        record = self._fleet.find(self._pending[device])
        if record is None:
            raise NotFoundError(f"the health check of '{known.device_id}' was not stored. Ask again.")
        return record

    def release(self, device: str) -> Device:
        """Lifts a quarantine by an operator's word; the device as it is now becomes its own measure.

        Raises:
            NotFoundError: No such device.
            FailedPreconditionError: It is not in quarantine.
        """
        known = self._fleet.devices.get(device)
        if not known.quarantine_reason:
            raise FailedPreconditionError(
                f"device '{known.device_id}' is not in quarantine, it is {known.state}. Nothing to release."
            )
        standing = self.standing(device)
        check = HealthCheck(
            device,
            standing.check_count + 1,
            CheckTrigger.RELEASE,
            CheckOutcome.RELEASED,
            f"released by an operator; was: {known.quarantine_reason}",
            self._clock(),
        )
        pending = self._pending.pop(device, "")
        record = self._fleet.find(pending) if pending else None
        self._recent.pop(device, None)
        self._act(standing, check)
        if record is not None and not record.state.finished:
            self._fleet.cancel(record, "the device was released")
        return self._fleet.devices.get(device)

    def history(self, device: str, before: int, limit: int) -> tuple[HealthCheck, ...]:
        """The latest first; NotFoundError for an unknown device."""
        return self._store.checks(self._fleet.devices.get(device).name, before, limit)

    def standing(self, device: str) -> Standing:
        return self._standings.get(device, Standing(device))

    # Time

    def tick(self) -> None:
        """Judges finished checks and begins those that are due. Call it as often as the fleet's own tick."""
        while self._ended:
            self._judge(self._ended[0])
            self._ended.popleft()
        now, room = self._clock(), _BEGUN_A_TICK
        for device in self._fleet.devices.all():
            if not room:
                return
            if device.state in _CHECKABLE and device.name not in self._pending:
                due_time, trigger = self._due(device.name)
                unasked = trigger is not CheckTrigger.REPEAT
                if due_time <= now and (self._settings.automatic or not unasked):
                    self._begin(device, trigger)
                    room -= 1

    # What the fleet says. Its transition is not over yet then, so nothing here changes the fleet.

    def assigned(self, record: MeasurementRecord) -> None:
        """``changed`` said it already."""

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        """A lease that ended early says nothing of the device's speed."""

    def changed(self, record: MeasurementRecord) -> None:
        if record.request.priority > MAX_PRIORITY:
            if record.state.finished:
                self._ended.append(record)
            return
        if record.state is MeasurementState.LEASED:
            self._holders[record.name] = record.device
            return
        device = self._holders.pop(record.name, "")
        if record.state is MeasurementState.DONE:
            self._note_result(record)
        elif record.fault is not None and record.fault.kind in (FaultKind.CRASH, FaultKind.UNSOUND):
            self._bad_ends[device] = self._bad_ends.get(device, 0) + 1

    def expelled(self, device: str) -> None:
        if not self._fleet.devices.knows(device):
            self._forget(device)

    def silenced(self, device: str, reason: str) -> None:
        """A check that it held runs out of its lease, as any measurement does."""

    def _forget(self, device: str) -> None:
        self._store.forget(device)
        for one in (self._standings, self._pending, self._recent, self._bad_ends):
            one.pop(device, None)

    def _recover(self) -> None:
        for name in [one for one in self._standings if not self._fleet.devices.knows(one)]:
            self._forget(name)
        for device in self._fleet.devices.all():
            self._apply(self.standing(device.name))
            record = self._fleet.find(self._measurement(device))
            if record is None:
                continue
            self._pending[device.name] = record.name
            if record.state.finished:
                self._ended.append(record)

    def _due(self, device: str) -> tuple[float, CheckTrigger]:
        standing = self.standing(device)
        due_time, trigger = standing.due(self._settings)
        if self._bad_ends.get(device, 0) >= self._settings.suspicion_count and not standing.quarantined:
            sooner = standing.last_time + self._settings.strike_retry_s
            return min((due_time, trigger), (sooner, CheckTrigger.SUSPICION))
        return due_time, trigger

    def _begin(self, device: Device, trigger: CheckTrigger) -> None:
        now = self._clock()
        self._file = self._file or _stored_anchor(self._artifacts)
        request = MeasurementRequest(
            measurement_id=self._measurement(device).removeprefix("measurements/"),
            files=(self._file,),
            entry_file=_ENTRY_FILE,
            plan=Plan(statistic=_statistic(device), max_duration_s=_MAX_SAMPLING_S, anchor_share=0.0),
            selector=Selector(device=device.name),
            priority=MAX_PRIORITY + 1,
            limits=_LIMITS,
            labels=((_TRIGGER_LABEL, trigger.value),),
        )
        name = measurement_name(request.measurement_id)
        found = self._fleet.find(name)
        if found is None:
            self._fleet.add([MeasurementRecord(name, request, MeasurementState.QUEUED, now, now)])
        elif found.state.finished:
            self._ended.append(found)
        self._pending[device.name] = name
        self._bad_ends.pop(device.name, None)

    def _measurement(self, device: Device) -> str:
        """Name of the next check's measurement; an enrolment of the same id later gives other names."""
        enrolment = hashlib.sha256(f"{device.name}@{device.create_time:.1f}".encode()).hexdigest()[:12]
        return f"measurements/health-{enrolment}-{self.standing(device.name).check_count + 1:06d}"

    def _judge(self, record: MeasurementRecord) -> None:
        device = record.request.selector.device
        if self._pending.get(device) != record.name or not self._fleet.devices.knows(device):
            return
        standing = self.standing(device)
        trigger = CheckTrigger(dict(record.request.labels)[_TRIGGER_LABEL])
        agreement = self_agreement(self._recent.get(device, ()), self._settings.drift_limit)
        check = judge_check(standing, record, trigger, self._clock(), self._settings, agreement)
        self._act(standing, check)
        del self._pending[device]
        if check.outcome is CheckOutcome.STRIKE:
            # The next check has to rest on measurements that were made after this one.
            self._recent.pop(device, None)

    def _act(self, standing: Standing, check: HealthCheck) -> None:
        after = standing.after(check, self._settings)
        with self._fleet_store.transaction():
            self._store.put(after, check)
        self._standings[check.device] = after
        self._apply(after)

    def _apply(self, standing: Standing) -> None:
        """Makes the device what its standing says; done again at a start, should the last one have died here."""
        quarantine = standing.reason if standing.quarantined else ""
        cooling = f"cooling down: {standing.doubt}" if standing.cooling else ""
        device = self._fleet.devices.get(standing.device)
        if (device.quarantine_reason, device.cooling_reason) != (quarantine, cooling):
            self._fleet.set_health(standing.device, quarantine_reason=quarantine, cooling_reason=cooling)

    def _note_result(self, record: MeasurementRecord) -> None:
        result, device = record.result, record.device
        if result is None:
            return
        verdicts = {one.verdict for one in result.batch}
        if verdicts & {Verdict.THROTTLED, Verdict.WRONG_OUTPUT}:
            self._bad_ends[device] = self._bad_ends.get(device, 0) + 1
        elif verdicts == {Verdict.OK}:
            self._bad_ends.pop(device, None)
        request, target = record.request, record.target.key if record.target else ""
        sha256s = {one.path: one.sha256 for one in request.files}
        for path, one in zip((request.entry_file, *request.companion_files), result.batch, strict=True):
            if one.verdict is Verdict.OK:
                self._note_halves(device, halves_of(f"{sha256s[path]}/{target}", one))

    def _note_halves(self, device: str, halves: Halves | None) -> None:
        if halves is not None:
            recent = self._recent.setdefault(device, deque(maxlen=_RECENT_COUNT))
            kept = [one for one in recent if one.network != halves.network]
            recent.clear()
            recent.extend((*kept, halves))


def _stored_anchor(artifacts: ArtifactFolder) -> ModelFile:
    content = anchor_model()
    artifact = Artifact(hashlib.sha256(content).hexdigest(), len(content))
    try:
        artifacts.get(artifact.sha256)
    except NotFoundError:
        with artifacts.writer(artifact) as writer:
            writer.write(content)
    return ModelFile(_ENTRY_FILE, artifact.sha256, artifact.size_bytes)


def _statistic(device: Device) -> Statistic:
    """A host is shared with the controller, so its CPU time counts; a device of its own shows wall time."""
    return Statistic.CPU_P10 if device.kind == "host" else Statistic.WALL_MEDIAN
