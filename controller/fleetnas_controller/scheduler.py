"""Which measurement goes to which device next. Pure."""

__all__ = ["assign", "queue_order"]

from collections.abc import Iterable

from fleetnas_controller.jobs import Device, MeasurementRecord, MeasurementState


def queue_order(records: Iterable[MeasurementRecord]) -> list[MeasurementRecord]:
    """Those that are queued, the next one first: by priority, then age, then name."""
    queued = [record for record in records if record.state is MeasurementState.QUEUED]
    return sorted(queued, key=lambda record: (-record.request.priority, record.create_time, record.name))


def assign(
    records: Iterable[MeasurementRecord], devices: Iterable[Device], now: float
) -> list[tuple[MeasurementRecord, Device]]:
    """Pairs queued measurements with free devices, each at most once.

    Args:
        devices: Those that may take one measurement now.
        now: Seconds since 1970; measurements waiting for a later ``retry_time`` are passed over.
    """
    # The device with the fewest leases first, so that the wear and the risk of a bad one are spread.
    free = sorted(devices, key=lambda device: (device.fencing_token, device.name))
    pairs = []
    for record in queue_order(records) if free else ():
        if record.retry_time > now:
            continue
        taken = next((device for device in free if record.request.selector.matches(device)), None)
        if taken is not None:
            free.remove(taken)
            pairs.append((record, taken))
        if not free:
            break
    return pairs
