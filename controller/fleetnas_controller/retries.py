"""What becomes of a measurement after an attempt that failed. Pure."""

__all__ = ["FleetSettings", "after_fault"]

from dataclasses import dataclass, replace

from fleetnas_controller.jobs import Fault, FaultKind, MeasurementRecord, MeasurementState
from fleetnas_search_spaces.errors import InvalidArgumentError

_CRASH_LIMIT = 2


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Times and counts of the fleet.

    Attributes:
        heartbeat_s: How often agents report; a lease lasts ``lease_s`` from the last heartbeat that was heard.
        retry_base_s, retry_cap_s: Wait before attempt 2, doubled before each further one, up to the cap.
        attempt_limit: Leases that may end in infrastructure faults before the measurement is given up.
        total_grace_s: The agent enforces a measurement's total limit; the controller steps in so much later.

    Raises:
        InvalidArgumentError: A lease would end before the next heartbeat can renew it.
    """

    heartbeat_s: float = 2.0
    lease_s: float = 10.0
    retry_base_s: float = 0.5
    retry_cap_s: float = 60.0
    attempt_limit: int = 5
    total_grace_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.heartbeat_s <= self.lease_s / 2 <= 86_400:
            raise InvalidArgumentError(
                f"heartbeats every {self.heartbeat_s:g} s do not keep a lease of {self.lease_s:g} s: the lease must "
                "last two heartbeats or more, and a heartbeat 0.05 s."
            )

    def retry_delay_s(self, attempt_count: int) -> float:
        return float(min(self.retry_cap_s, self.retry_base_s * 2 ** max(0, attempt_count - 1)))


def after_fault(
    record: MeasurementRecord, fault: Fault, now: float, settings: FleetSettings
) -> MeasurementRecord:
    """``record``, whose attempt ended in ``fault``: queued again or failed."""
    crash_count = record.crash_count + (fault.kind is FaultKind.CRASH)
    record = replace(record, crash_count=crash_count, fault=fault, update_time=now, expire_time=0.0)
    if crash_count >= _CRASH_LIMIT:
        message = f"the runtime crashed or hung {crash_count} times on this file; last: {fault.message}"
        fault = Fault(FaultKind.MODEL, message, fault.file)
    if fault.kind is FaultKind.MODEL:
        return replace(record, state=MeasurementState.FAILED, fault=fault)
    if record.attempt_count >= settings.attempt_limit:
        message = f"given up after {record.attempt_count} attempts; last: {fault.message}"
        kind = FaultKind.UNSOUND if fault.kind is FaultKind.UNSOUND else FaultKind.INFRASTRUCTURE
        return replace(record, state=MeasurementState.FAILED, fault=Fault(kind, message))
    retry_time = now + settings.retry_delay_s(record.attempt_count)
    return replace(record, state=MeasurementState.QUEUED, retry_time=retry_time, device="")
