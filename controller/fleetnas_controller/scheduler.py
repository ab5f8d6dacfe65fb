"""Which measurement goes to which device next. Pure."""

__all__ = ["MeasurementQueue", "assign"]

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge

from fleetnas_controller.jobs import Device, MeasurementRecord, Selector

_Key = tuple[int, float, str]


def _key(record: MeasurementRecord) -> _Key:
    return (-record.request.priority, record.create_time, record.name)


class MeasurementQueue:
    """Measurements that are queued, the next one first: by priority, then age, then name.

    Sorted at all times and apart for each selector, so that nobody has to look at all of a long queue.
    """

    def __init__(self) -> None:
        self._records: dict[str, MeasurementRecord] = {}
        self._all: list[_Key] = []
        self._by_selector: dict[Selector, list[_Key]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: MeasurementRecord) -> None:
        """Adds it, or its new state."""
        if record.name not in self._records:
            insort(self._all, _key(record))
            insort(self._by_selector.setdefault(record.request.selector, []), _key(record))
        self._records[record.name] = record

    def discard(self, name: str) -> None:
        """Takes it out if it is there."""
        record = self._records.pop(name, None)
        if record is None:
            return
        key, selector = _key(record), record.request.selector
        _remove(self._all, key)
        _remove(self._by_selector[selector], key)
        if not self._by_selector[selector]:
            del self._by_selector[selector]

    def position(self, name: str) -> int:
        """1 for the next one to go; 0 when it is not queued."""
        record = self._records.get(name)
        return 0 if record is None else bisect_left(self._all, _key(record)) + 1

    def count(self, device: Device) -> int:
        """How many ``device`` could take."""
        return sum(len(keys) for one, keys in self._by_selector.items() if one.matches(device))

    def matching(self, devices: Sequence[Device]) -> Iterator[MeasurementRecord]:
        """In order, those whose selector at least one of ``devices`` fits."""
        wanted = (
            keys for one, keys in self._by_selector.items() if any(one.matches(device) for device in devices)
        )
        return (self._records[key[2]] for key in merge(*wanted))


def assign(
    queue: MeasurementQueue, devices: Iterable[Device], now: float, *, above_priority: int | None = None
) -> list[tuple[MeasurementRecord, Device]]:
    """Pairs queued measurements with free devices, each at most once.

    Args:
        devices: Those that may take one measurement now, the one to use first first.
        now: Seconds since 1970; measurements waiting for a later ``retry_time`` are passed over.
        above_priority: Only measurements of a higher one, which come first.
    """
    free = list(devices)
    pairs = []
    for record in queue.matching(free) if free and queue else ():
        if above_priority is not None and record.request.priority <= above_priority:
            break
        if record.retry_time > now:
            continue
        taken = next((device for device in free if record.request.selector.matches(device)), None)
        if taken is not None:
            free.remove(taken)
            pairs.append((record, taken))
        if not free:
            break
    return pairs


def _remove(keys: list[_Key], key: _Key) -> None:
    del keys[bisect_left(keys, key)]
