"""A trial whose measurements are under way."""

__all__ = ["PendingTrial", "reading_of"]

from collections.abc import Callable, Mapping

from fleetnas_controller.jobs import FaultKind, MeasurementRecord, MeasurementState
from fleetnas_controller.trials import DeviceReading, Trial
from fleetnas_latency.judgement import Verdict
from fleetnas_search_spaces.errors import UnavailableError

_PASSING = (Verdict.CONTENDED, Verdict.NOT_CONVERGED, Verdict.THROTTLED)
_ATTEMPT_COUNT = 3
"""A verdict that may pass by itself is given this many chances."""


class PendingTrial:
    """Collects one reading for each device, asking again where a verdict is not ok.

    Args:
        request: Asks the fleet for the ``attempt``-th measurement on ``device`` and returns its name. Asking for
            one that exists already, after a restart, finds it again.
        begin_time: Seconds since 1970. A measurement that the fleet gave up before then is asked for again; one
            given up later means that the fleet is not there now.
    """

    def __init__(
        self, trial: Trial, devices: tuple[str, ...], request: Callable[[str, int], str], begin_time: float
    ) -> None:
        self.trial = trial
        self.readings: dict[str, DeviceReading] = {}
        self._request = request
        self._begin_time = begin_time
        self._bad_verdicts: dict[str, int] = dict.fromkeys(devices, 0)
        self._waiting = {request(device, 0): (device, 0) for device in devices}

    @property
    def names(self) -> tuple[str, ...]:
        """Measurements it waits for."""
        return tuple(self._waiting)

    @property
    def complete(self) -> bool:
        return not self._waiting

    def accept(self, record: MeasurementRecord) -> bool:
        """Takes a finished measurement in; one that it does not wait for is ignored.

        Returns:
            Whether it is measured again.

        Raises:
            UnavailableError: The fleet gave the measurement up for a reason that is not the network's.
        """
        if record.name not in self._waiting:
            return False
        device, attempt = self._waiting.pop(record.name)
        reading = reading_of(record)
        if self._another(record, reading, device):
            self._waiting[self._request(device, attempt + 1)] = (device, attempt + 1)
            return True
        self.readings[device] = reading
        return False

    def faults(self) -> Mapping[str, str]:
        """By device, why there is no latency at all."""
        return {device: one.reason for device, one in self.readings.items() if one.latency_ms is None}

    def _another(self, record: MeasurementRecord, reading: DeviceReading, device: str) -> bool:
        if record.state is MeasurementState.DONE:
            self._bad_verdicts[device] += reading.verdict in _PASSING
            return reading.verdict in _PASSING and self._bad_verdicts[device] < _ATTEMPT_COUNT
        if record.fault is not None and record.fault.kind is FaultKind.MODEL:
            return False
        if record.update_time >= self._begin_time:
            raise UnavailableError(
                f"{record.name} was given up on '{device}': {reading.reason} Mend it and go on with --resume."
            )
        return True


def reading_of(record: MeasurementRecord) -> DeviceReading:
    """What a trial keeps of a finished measurement."""
    target = record.target.key if record.target else ""
    if record.state is not MeasurementState.DONE or record.result is None:
        reason = record.fault.message if record.fault else f"the measurement was {record.state}"
        return DeviceReading(record.name, target, str(record.state), "measured", None, reason=reason)
    result = record.result
    return DeviceReading(
        measurement=record.name,
        target=target,
        verdict=str(result.verdict),
        source="replayed" if record.target and record.target.stand_in else "measured",
        latency_ms=result.estimate,
        anchor_ms=result.anchor,
        ratio=result.ratio,
        reason=result.reason,
    )
