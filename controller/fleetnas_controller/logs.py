"""What happens in the fleet, as log lines that machines can follow: job, device, search and trial in each."""

__all__ = ["FleetLog"]

import logging

from fleetnas_controller.jobs import MeasurementRecord, MeasurementState
from fleetnas_controller.leases import LeaseKey

_log = logging.getLogger("fleetnas.fleet")
# A process that set up no logging, e.g. a search with a fleet of its own, stays silent.
_log.addHandler(logging.NullHandler())


class FleetLog:
    """A ``FleetListener`` that writes one line for each transition."""

    def assigned(self, record: MeasurementRecord) -> None:
        """``changed`` said it already."""

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        extra = {"event": "revoked", "job": lease.measurement, "device": device}
        _log.warning("lease revoked: %s", reason, extra={**extra, "fencing_token": lease.fencing_token})

    def changed(self, record: MeasurementRecord) -> None:
        if not _log.isEnabledFor(logging.WARNING):
            return
        extra: dict[str, object] = {
            "event": "job",
            "job": record.name,
            "state": record.state.value,
            "device": record.device,
            "attempt": record.attempt_count,
            "fencing_token": record.fencing_token,
            **_ids(record),
        }
        if record.fault and record.state in (MeasurementState.FAILED, MeasurementState.QUEUED):
            extra["fault_kind"] = record.fault.kind.value
            _log.warning("job %s: %s", record.state, record.fault.message, extra=extra)
            return
        if record.result is not None:
            extra |= {"verdict": record.result.verdict.value, "latency_ms": record.result.estimate.value}
        _log.info("job %s", record.state, extra=extra)

    def expelled(self, device: str) -> None:
        _log.info("credential no longer holds", extra={"event": "expelled", "device": device})

    def silenced(self, device: str, reason: str) -> None:
        _log.warning("device silent: %s", reason, extra={"event": "silenced", "device": device})


def _ids(record: MeasurementRecord) -> dict[str, str]:
    """The search and the trial that asked for it, as far as its labels say."""
    labels = dict(record.request.labels)
    return {key: labels[key] for key in ("search", "trial", "health_check") if key in labels}
