"""What waits for which device. Pure."""

__all__ = ["queue_counts", "queue_of"]

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fleetnas_controller.jobs import Device, MeasurementRecord, MeasurementState
from fleetnas_controller.scheduler import MeasurementQueue


def queue_of(records: Iterable[MeasurementRecord], device: Device) -> list[MeasurementRecord]:
    """Queued measurements that ``device`` could take, the next first, with their place in the whole queue."""
    queue = MeasurementQueue()
    for record in records:
        if record.state is MeasurementState.QUEUED:
            queue.put(record)
    return [replace(one, queue_position=queue.position(one.name)) for one in queue.matching([device])]


def queue_counts(records: Iterable[MeasurementRecord], devices: Sequence[Device]) -> dict[str, int]:
    """By device name: how many queued measurements it could take.

    Measurements are many and selectors few, so each selector is matched once for each device.
    """
    queued = (record for record in records if record.state is MeasurementState.QUEUED)
    selectors = Counter(record.request.selector for record in queued)
    return {
        device.name: sum(count for selector, count in selectors.items() if selector.matches(device))
        for device in devices
    }
