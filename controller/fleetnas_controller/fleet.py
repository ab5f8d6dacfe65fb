"""The fleet: measurements, the leases that devices hold on them, and everything that can happen to both.

Plain Python, one thread. A transition is one transaction of the store; memory follows when it is committed, and
listeners hear of it last, so that a controller which dies in between finds in the store what it had promised.
"""

__all__ = ["Fleet"]

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fleetnas_controller.devices import DeviceDescription, DeviceRegistry
from fleetnas_controller.enrolment import Credential, Enrolment, digest_of
from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import (
    MAX_PRIORITY,
    Device,
    Fault,
    FaultKind,
    MeasurementRecord,
    MeasurementState,
    device_name,
)
from fleetnas_controller.leases import Acknowledgement, LeaseKey
from fleetnas_controller.listeners import FleetListener
from fleetnas_controller.retries import FleetSettings, after_fault
from fleetnas_controller.scheduler import MeasurementQueue, assign
from fleetnas_controller.soundness import check_result
from fleetnas_latency.measurement import Measurement, Verdict
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import AlreadyExistsError, InvalidArgumentError, PermissionDeniedError

_MAX_ATTEMPT_CHARACTERS = 64


class Fleet:
    """Devices and unfinished measurements.

    Args:
        clock: Seconds since 1970.
        listener: Told of every transition after it is stored.
    """

    def __init__(
        self,
        store: FleetStore,
        enrolment: Enrolment,
        clock: Callable[[], float],
        listener: FleetListener,
        settings: FleetSettings,
    ) -> None:
        self._store = store
        self._enrolment = enrolment
        self._clock = clock
        self._listener = listener
        self._settings = settings
        self.devices = DeviceRegistry(store, settings.lease_s)
        self._open: dict[str, MeasurementRecord] = {}
        self._queue = MeasurementQueue()
        self._recover()

    def queue_position(self, name: str) -> int:
        """1 for the next measurement to go among those queued; 0 when it is not queued."""
        return self._queue.position(name)

    def waiting(self, device: Device) -> list[MeasurementRecord]:
        """Queued measurements that ``device`` could take, the next first, with their place in the whole queue."""
        found = self._queue.matching([device])
        return [replace(one, queue_position=self._queue.position(one.name)) for one in found]

    def waiting_count(self, device: Device) -> int:
        """How many queued measurements ``device`` could take."""
        return self._queue.count(device)

    @property
    def unfinished(self) -> Collection[MeasurementRecord]:
        return self._open.values()

    def find(self, name: str) -> MeasurementRecord | None:
        return self._open.get(name) or self._store.measurement(name)

    # Devices

    def enrol(
        self,
        secret: str,
        device_id: str,
        description: DeviceDescription,
        issue: Callable[[str], Credential] | None = None,
        attempt_id: str = "",
    ) -> tuple[Device, Credential]:
        """The new device and its credential.

        Args:
            issue: Makes the credential of the device of that name; None: a secret.
            attempt_id: Another call with it and the same token is the same enrolment, made by an agent that never
                kept the answer: it uses no more of the token up, and the credential from before ends.

        Raises:
            InvalidArgumentError: The attempt's id is too long.
            PermissionDeniedError: The join token does not allow it.
            AlreadyExistsError: The id is taken, and the token is not bound to it.
        """
        attempt, again = self._attempt(secret, device_id, attempt_id)
        token = self._enrolment.check_token(secret, used=bool(again))
        if token.device_id and device_id not in ("", token.device_id):
            raise PermissionDeniedError(
                f"this join token enrols '{token.device_id}' only, not '{device_id}'. Leave the id out."
            )
        name = device_name(token.device_id or device_id or f"{description.kind}-{digest_of(secret)[:8]}")
        name = again or name
        if self.devices.knows(name) and not (token.device_id or again):
            raise AlreadyExistsError(
                f"the fleet has a device '{name}' already. Choose another id, or make a token for this one: "
                f"fleetnas device token --device {name.removeprefix('devices/')}"
            )
        credential = (issue or self._enrolment.new_credential)(name)
        known = self.devices.knows(name)
        with self._store.transaction():
            if not again:
                self._enrolment.use_token(secret, token)
            if attempt:
                self._store.put_enrolment(attempt, name, token.expire_time)
            device = self.devices.enrol(name, description, credential.sha256, self._clock())
        if known:
            self._listener.expelled(name)
        return device, credential

    def _attempt(self, secret: str, device_id: str, attempt_id: str) -> tuple[str, str]:
        """What the attempt is remembered by, and the device that came of it before; empty for none."""
        if len(attempt_id) > _MAX_ATTEMPT_CHARACTERS:
            raise InvalidArgumentError(
                f"`attempt_id` has {len(attempt_id)} characters, at most {_MAX_ATTEMPT_CHARACTERS} may be."
            )
        if not (secret and attempt_id):
            return "", ""
        attempt = digest_of(f"{secret}\n{attempt_id}")
        name = self._store.enrolled(attempt) or ""
        asked = name if not device_id else device_name(device_id)
        return attempt, name if self.devices.knows(name) and asked == name else ""

    def connect(self, device: str, description: DeviceDescription, held: Collection[LeaseKey]) -> None:
        """A session began. Of the leases the device should have, those not ``held`` are lost; of those it
        holds, stale ones are revoked."""
        self.devices.connect(device, description, self._clock())
        holder = self._open.get(self.devices.get(device).holder)
        if holder is not None and LeaseKey(holder.name, holder.fencing_token) not in held:
            self._fail(
                holder, Fault(FaultKind.INFRASTRUCTURE, f"the agent of {device} restarted and lost it")
            )
        self._renew(device, held)
        self.dispatch()

    def disconnect(self, device: str, reason: str) -> None:
        """A session ended; the lease goes on, for the agent may come back in time."""
        self.devices.disconnect(device, reason)

    def heartbeat(self, device: str, held: Collection[LeaseKey]) -> None:
        back = self.devices.heard(device, self._clock())
        self._renew(device, held)
        if back:
            self.dispatch()

    def set_drained(self, device: str, drained: bool) -> Device:
        changed = self.devices.set_drained(device, drained)
        self.dispatch()
        return self.devices.get(changed.name)

    def remove(self, device: str) -> None:
        holder = self._open.get(self.devices.get(device).holder)
        self.devices.remove(device)
        if holder is not None:
            self._fail(holder, Fault(FaultKind.INFRASTRUCTURE, f"{device} was removed from the fleet"))
        self._listener.expelled(device)
        self.dispatch()

    def set_health(self, device: str, *, quarantine_reason: str = "", cooling_reason: str = "") -> Device:
        """Keeps a device from ordinary work while a reason is given; what it holds goes elsewhere."""
        changed = self.devices.set_health(
            device, quarantine_reason=quarantine_reason, cooling_reason=cooling_reason
        )
        holder = self._open.get(changed.holder)
        reason = quarantine_reason or cooling_reason
        if reason and holder is not None and holder.request.priority <= MAX_PRIORITY:
            self._fail(holder, Fault(FaultKind.INFRASTRUCTURE, f"{device}: {reason}"), revoke=True)
        self.dispatch()
        return self.devices.get(device)

    # Measurements

    def add(self, records: Sequence[MeasurementRecord]) -> tuple[MeasurementRecord, ...]:
        """Queues new measurements, all or none of them."""
        self._save(*records)
        self.dispatch()
        return tuple(self._open[record.name] for record in records)

    def cancel(self, record: MeasurementRecord, reason: str) -> MeasurementRecord:
        """``record``, which is not finished, will not be measured."""
        now = self._clock()
        state = MeasurementState.CANCELLED
        cancelled = replace(record, state=state, update_time=now, expire_time=0.0, queue_position=0)
        self._end_lease(record, cancelled, reason)
        self.dispatch()
        return cancelled

    def report(
        self, device: str, lease: LeaseKey, outcome: Measurement | Fault, target: Target | None
    ) -> Acknowledgement:
        """The end of an attempt. Counts once: however often it is sent, one report ends a measurement.

        A result under an old token still counts if its lease was real, its measurement is unfinished and its
        verdict is ``ok``, that of every network of a batch; whoever holds the measurement by then is told to stop.
        A result that nothing can have measured (``soundness``) counts as an UNSOUND fault.
        """
        record = self._open.get(lease.measurement)
        refusal = self._refusal(record, device, lease, outcome)
        if record is not None and not refusal:
            outcome = _sound(outcome, record, target)
            # An old token's result may count, an old token's fault may not.
            refusal = self._refusal(record, device, lease, outcome)
        if record is None or refusal:
            return Acknowledgement(False, refusal)
        if isinstance(outcome, Fault):
            # Whoever reports it, only a network of this measurement can be to blame.
            known = (record.request.entry_file, *record.request.companion_files)
            self._fail(record, outcome if outcome.file in known else replace(outcome, file=""))
        else:
            done = replace(
                record,
                state=MeasurementState.DONE,
                update_time=self._clock(),
                expire_time=0.0,
                device=device,
                fencing_token=lease.fencing_token,
                target=target,
                result=outcome,
            )
            current = _is_current(record, device, lease)
            self._end_lease(record, done, "" if current else f"measured by {device} in the meantime")
        self.dispatch()
        return Acknowledgement(True)

    # Time

    def tick(self) -> None:
        """Ends what has run out of time, and hands out what became ripe. Call it every half second or so."""
        now = self._clock()
        for device in self.devices.silent(now):
            self._listener.silenced(device.name, device.reason)
        for record in list(self._open.values()):
            fault = self._overdue(record, now)
            if fault is None:
                continue
            if record.state is MeasurementState.LEASED:
                self._fail(record, fault, revoke=True)
            else:
                self._save(replace(record, state=MeasurementState.FAILED, fault=fault, update_time=now))
        self.dispatch()

    def dispatch(self) -> None:
        """Leases queued measurements to free devices."""
        if not self._queue:
            return
        now = self._clock()
        leased = [
            replace(
                queued,
                state=MeasurementState.LEASED,
                update_time=now,
                attempt_count=queued.attempt_count + 1,
                device=device.name,
                fencing_token=device.fencing_token + 1,
                lease_time=now,
                expire_time=now + self._settings.lease_s,
            )
            for queued, device in self._pairs(now)
        ]
        if leased:
            self._save(*leased)
        for record in leased:
            self._listener.assigned(record)

    def _pairs(self, now: float) -> list[tuple[MeasurementRecord, Device]]:
        pairs = assign(self._queue, self.devices.free(), now)
        unwell = self.devices.on_probation()
        if unwell:
            pairs += assign(self._queue, unwell, now, above_priority=MAX_PRIORITY)
        return pairs

    def _recover(self) -> None:
        """Leases found in the store run on for a full term, so that their agents can reconnect in time."""
        expire_time = self._clock() + self._settings.lease_s
        for record in self._store.unfinished_measurements():
            if record.state is MeasurementState.LEASED:
                record = replace(record, expire_time=expire_time)
                self.devices.hold(record)
            self._remember(record)

    def _renew(self, device: str, held: Collection[LeaseKey]) -> None:
        expire_time = self._clock() + self._settings.lease_s
        for lease in held:
            record = self._open.get(lease.measurement)
            if record is not None and _is_current(record, device, lease):
                # In memory only: after a restart every lease gets a full term anyway.
                self._open[record.name] = replace(record, expire_time=expire_time)
                self.devices.hold(self._open[record.name])
            else:
                self._listener.revoked(device, lease, "the lease has ended")

    def _refusal(
        self, record: MeasurementRecord | None, device: str, lease: LeaseKey, outcome: Measurement | Fault
    ) -> str:
        if record is None:
            known = self._store.measurement(lease.measurement)
            return f"the measurement is {known.state} already" if known else "no such measurement"
        wanted = 1 + len(record.request.companion_files)
        if isinstance(outcome, Measurement) and len(outcome.batch) != wanted:
            return f"the report has results of {len(outcome.batch)} networks, the measurement has {wanted}"
        if _is_current(record, device, lease):
            return ""
        if self._store.leased_measurement(device, lease.fencing_token) != lease.measurement:
            return f"token {lease.fencing_token} was never given to {device} for this measurement"
        if isinstance(outcome, Fault) or any(one.verdict is not Verdict.OK for one in outcome.batch):
            return f"token {lease.fencing_token} is stale, the measurement goes on elsewhere"
        return ""

    def _overdue(self, record: MeasurementRecord, now: float) -> Fault | None:
        limits = record.request.limits
        if record.state is MeasurementState.LEASED:
            if record.expire_time <= now:
                text = f"{record.device} was not heard for {self._settings.lease_s:g} s and lost the lease"
            elif record.lease_time + limits.total_s + self._settings.total_grace_s <= now:
                text = f"{record.device} gave no result within {limits.total_s:g} s"
            else:
                return None
        elif record.update_time + limits.device_s <= now:
            text = (
                f"no device free for '{record.request.selector}' within {limits.device_s:g} s "
                f"({len(self.devices.all())} enrolled, {self.devices.free_count} free). See: fleetnas device list"
            )
        else:
            return None
        return Fault(FaultKind.INFRASTRUCTURE, text)

    def _fail(self, record: MeasurementRecord, fault: Fault, *, revoke: bool = False) -> None:
        after = after_fault(record, fault, self._clock(), self._settings)
        self._end_lease(record, after, fault.message if revoke else "")

    def _end_lease(self, before: MeasurementRecord, after: MeasurementRecord, revocation: str) -> None:
        self._save(after)
        if before.state is MeasurementState.LEASED:
            self.devices.release(before.device)
            if revocation:
                lease = LeaseKey(before.name, before.fencing_token)
                self._listener.revoked(before.device, lease, revocation)

    def _save(self, *records: MeasurementRecord) -> None:
        """In one transaction; nobody hears of it and memory stays as it was unless it is stored."""
        leased = [record for record in records if record.state is MeasurementState.LEASED]
        with self._store.transaction():
            for record in records:
                self._store.put_measurement(record)
            for record in leased:
                self._store.put_lease(record.device, record.fencing_token, record.name, record.lease_time)
        for record in records:
            self._remember(record)
        for record in leased:
            self.devices.hold(record)
        for record in records:
            self._listener.changed(record)

    def _remember(self, record: MeasurementRecord) -> None:
        if record.state.finished:
            self._open.pop(record.name, None)
        else:
            self._open[record.name] = record
        if record.state is MeasurementState.QUEUED:
            self._queue.put(record)
        else:
            self._queue.discard(record.name)


def _sound(
    outcome: Measurement | Fault, record: MeasurementRecord, target: Target | None
) -> Measurement | Fault:
    if isinstance(outcome, Fault):
        return outcome
    try:
        check_result(outcome, record.request, target)
    except InvalidArgumentError as error:
        return Fault(FaultKind.UNSOUND, f"the result cannot have been measured: {error}")
    return outcome


def _is_current(record: MeasurementRecord, device: str, lease: LeaseKey) -> bool:
    held = (record.state, record.device, record.fencing_token)
    return held == (MeasurementState.LEASED, device, lease.fencing_token)
