"""The devices of the fleet: who is there, who is free, who holds what."""

__all__ = ["DeviceDescription", "DeviceRegistry"]

from bisect import bisect_left, insort
from dataclasses import dataclass, replace

from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import Device, DeviceState, MeasurementRecord
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names

_UNWELL = (DeviceState.QUARANTINED, DeviceState.COOLING)


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What an agent says of its device."""

    model: str
    kind: str
    targets: tuple[Target, ...]
    labels: tuple[tuple[str, str], ...] = ()
    batches: bool = False


class DeviceRegistry:
    """Devices by name. Connection and holder live in memory, the rest in the store.

    Args:
        silence_s: A connected device that was not heard for so long counts as offline.
    """

    def __init__(self, store: FleetStore, silence_s: float) -> None:
        self._store = store
        self._silence_s = silence_s
        self._devices: dict[str, Device] = {}
        # (fencing token, name) of the free ones: the least used comes first, so that wear is spread.
        self._free: list[tuple[int, str]] = []
        self._connected: set[str] = set()
        for device in store.devices():
            self._put(self._at_start(device))
        self._unwell = {one.name for one in self._devices.values() if _is_unwell(one)}

    def _at_start(self, device: Device) -> Device:
        # What it held when it was stored may have ended since: leases say who holds what (``hold``).
        return replace(
            device,
            state=DeviceState.OFFLINE,
            reason="not connected since the controller started",
            holder="",
            expire_time=0.0,
            fencing_token=self._store.last_fencing_token(device.name),
        )

    def all(self) -> tuple[Device, ...]:
        return tuple(self._devices[name] for name in sorted(self._devices))

    def get(self, name: str) -> Device:
        """Raises NotFoundError, naming near ones."""
        if name not in self._devices:
            known = (device.removeprefix("devices/") for device in self._devices)
            raise NotFoundError(
                f"no device '{name.removeprefix('devices/')}' in the fleet; "
                f"{near_names(name.removeprefix('devices/'), known)}. See: fleetnas device list"
            )
        return self._devices[name]

    def knows(self, name: str) -> bool:
        return name in self._devices

    def free(self) -> list[Device]:
        """Those that may take a measurement now, the one with the fewest leases first."""
        return [self._devices[name] for _, name in self._free]

    @property
    def free_count(self) -> int:
        return len(self._free)

    def on_probation(self) -> list[Device]:
        """Connected and without a holder, but fit for health checks only."""
        devices = (self._devices[name] for name in self._unwell if name in self._devices)
        return [d for d in devices if d.state in _UNWELL and not d.holder]

    def enrol(self, name: str, description: DeviceDescription, credential_sha256: str, now: float) -> Device:
        """Stores the device; a known one keeps its age, its drain and its quarantine."""
        known = self._devices.get(name)
        device = Device(
            name=name,
            model=description.model,
            kind=description.kind,
            targets=description.targets,
            state=DeviceState.OFFLINE,
            create_time=known.create_time if known else now,
            labels=description.labels,
            batches=description.batches,
            reason="enrolled, not connected yet",
            drained=known.drained if known else False,
            quarantine_reason=known.quarantine_reason if known else "",
            cooling_reason=known.cooling_reason if known else "",
            holder=known.holder if known else "",
            expire_time=known.expire_time if known else 0.0,
            fencing_token=known.fencing_token if known else self._store.last_fencing_token(name),
        )
        with self._store.transaction():
            self._store.remove_grants(name)
            self._store.enrol_device(device, credential_sha256)
        self._put(device)
        return device

    def connect(self, name: str, description: DeviceDescription, now: float) -> Device:
        self._connected.add(name)
        device = replace(
            self.get(name),
            model=description.model,
            kind=description.kind,
            targets=description.targets,
            labels=description.labels,
            batches=description.batches,
            seen_time=now,
        )
        return self._store_changed(self._settled(device))

    def disconnect(self, name: str, reason: str) -> None:
        """The session is over; a device that is gone already is no error."""
        self._connected.discard(name)
        if name in self._devices:
            device = replace(self._devices[name], state=DeviceState.OFFLINE, reason=reason)
            self._store_changed(device)

    def heard(self, name: str, now: float) -> bool:
        """Notes a sign of life; whether that made the device free again."""
        before = self.get(name)
        if name not in self._connected:
            return False
        self._put(self._settled(replace(before, seen_time=now)))
        return before.state is DeviceState.OFFLINE

    def silent(self, now: float) -> list[Device]:
        """Marks connected devices not heard for too long as offline; returns those newly marked."""
        marked = []
        for device in self._devices.values():
            quiet_s = now - device.seen_time
            if device.state is not DeviceState.OFFLINE and quiet_s >= self._silence_s:
                marked.append(
                    replace(
                        device, state=DeviceState.OFFLINE, reason=f"connected but silent for {quiet_s:.0f} s"
                    )
                )
        for device in marked:
            self._put(device)
        return marked

    def set_drained(self, name: str, drained: bool) -> Device:
        """Raises FailedPreconditionError on undraining a device that is not drained."""
        device = self.get(name)
        if not drained and not device.drained:
            raise FailedPreconditionError(
                f"device '{device.device_id}' is not drained, it is {device.state}. Nothing to do."
            )
        return self._store_changed(self._settled(replace(device, drained=drained)))

    def set_health(self, name: str, *, quarantine_reason: str, cooling_reason: str) -> Device:
        """Keeps it from ordinary work while one of the reasons is given."""
        changed = replace(self.get(name), quarantine_reason=quarantine_reason, cooling_reason=cooling_reason)
        device = self._store_changed(self._settled(changed))
        if _is_unwell(device):
            self._unwell.add(name)
        else:
            self._unwell.discard(name)
        return device

    def remove(self, name: str) -> None:
        self.get(name)
        with self._store.transaction():
            self._store.remove_grants(name)
            self._store.remove_device(name)
        self._unfree(self._devices.pop(name))
        self._unwell.discard(name)
        self._connected.discard(name)

    def hold(self, record: MeasurementRecord) -> None:
        """Notes that ``record``, which is leased and stored as such, holds its device."""
        if record.device in self._devices:
            self._put(
                replace(
                    self._devices[record.device],
                    holder=record.name,
                    expire_time=record.expire_time,
                    fencing_token=record.fencing_token,
                )
            )

    def release(self, name: str) -> None:
        if name in self._devices:
            self._put(replace(self._devices[name], holder="", expire_time=0.0))

    def _settled(self, device: Device) -> Device:
        if device.name not in self._connected:
            return device
        if device.drained:
            return replace(device, state=DeviceState.DRAINING, reason="drained by an operator")
        if device.quarantine_reason:
            return replace(device, state=DeviceState.QUARANTINED, reason=device.quarantine_reason)
        if device.cooling_reason:
            return replace(device, state=DeviceState.COOLING, reason=device.cooling_reason)
        return replace(device, state=DeviceState.ONLINE, reason="")

    def _store_changed(self, device: Device) -> Device:
        self._store.put_device(device)
        self._put(device)
        return device

    def _put(self, device: Device) -> None:
        before = self._devices.get(device.name)
        if before is not None:
            self._unfree(before)
        self._devices[device.name] = device
        if _is_free(device):
            insort(self._free, (device.fencing_token, device.name))

    def _unfree(self, device: Device) -> None:
        if _is_free(device):
            del self._free[bisect_left(self._free, (device.fencing_token, device.name))]


def _is_free(device: Device) -> bool:
    return device.state is DeviceState.ONLINE and not device.holder


def _is_unwell(device: Device) -> bool:
    return bool(device.quarantine_reason or device.cooling_reason)
