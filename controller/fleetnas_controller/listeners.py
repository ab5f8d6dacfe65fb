"""Who hears of what happens in a fleet."""

__all__ = ["FleetListener", "Listeners"]

from typing import Protocol

from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.leases import LeaseKey


class FleetListener(Protocol):
    """Hears of what is committed."""

    def assigned(self, record: MeasurementRecord) -> None:
        """``record.device`` has to measure it."""
        ...

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        """``device`` has to stop working on it, if it does."""
        ...

    def changed(self, record: MeasurementRecord) -> None:
        """A measurement has a new state."""
        ...

    def expelled(self, device: str) -> None:
        """The credential of ``device`` no longer holds: it was removed or enrolled anew."""
        ...

    def silenced(self, device: str, reason: str) -> None:
        """``device`` is connected and was not heard for too long: the connection is as good as dead."""
        ...


class Listeners:
    """A ``FleetListener`` that tells each of ``listeners``, in order; more may be added later."""

    def __init__(self, *listeners: FleetListener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: FleetListener) -> None:
        self._listeners.append(listener)

    def assigned(self, record: MeasurementRecord) -> None:
        for one in self._listeners:
            one.assigned(record)

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        for one in self._listeners:
            one.revoked(device, lease, reason)

    def changed(self, record: MeasurementRecord) -> None:
        for one in self._listeners:
            one.changed(record)

    def expelled(self, device: str) -> None:
        for one in self._listeners:
            one.expelled(device)

    def silenced(self, device: str, reason: str) -> None:
        for one in self._listeners:
            one.silenced(device, reason)
