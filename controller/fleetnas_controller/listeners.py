"""One listener of the fleet that stands for several."""

__all__ = ["Listeners"]

from fleetnas_controller.fleet import FleetListener, LeaseKey
from fleetnas_controller.jobs import MeasurementRecord


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
