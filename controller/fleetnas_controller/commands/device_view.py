"""How devices, their queue and their health are shown: as JSON values and as tables."""

__all__ = ["check_line", "check_values", "device_values", "devices_table", "queue_values", "text_time"]

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from fleetnas_controller.health import HealthCheck
    from fleetnas_controller.jobs import Device, MeasurementRecord

_COLUMNS = ("device", "kind", "model", "state", "holds", "queue", "seen", "reason")


def device_values(device: "Device") -> dict[str, Any]:
    return {
        "device": device.device_id,
        "kind": device.kind,
        "model": device.model,
        "state": str(device.state),
        "reason": device.reason,
        "holds": device.holder,
        "queue": device.queue_count,
        "lease_ends": text_time(device.expire_time),
        "seen": text_time(device.seen_time),
        "enrolled": text_time(device.create_time),
        "drained": device.drained,
        "quarantine": device.quarantine_reason,
        "labels": [f"{key}={value}" for key, value in device.labels],
        "targets": [target.key for target in device.targets],
    }


def queue_values(record: "MeasurementRecord") -> dict[str, Any]:
    """A measurement as far as it matters to whoever waits for a device."""
    return {
        "measurement": record.name,
        "state": str(record.state),
        "position": record.queue_position,
        "priority": record.request.priority,
        "attempts": record.attempt_count,
        "since": text_time(record.lease_time or record.create_time),
        "labels": [f"{key}={value}" for key, value in record.request.labels],
        "fault": record.fault.message if record.fault else "",
    }


def check_values(check: "HealthCheck") -> dict[str, Any]:
    return {
        "number": check.number,
        "time": text_time(check.check_time),
        "trigger": str(check.trigger),
        "outcome": str(check.outcome),
        "reason": check.reason,
        "anchor_ms": check.anchor.value if check.anchor else None,
        "low_ms": check.anchor.low if check.anchor else None,
        "high_ms": check.anchor.high if check.anchor else None,
        "drift": check.drift,
        "agreement": check.agreement,
        "target": check.target,
        "measurement": check.measurement,
    }


def check_line(values: Mapping[str, Any]) -> str:
    """``check_values`` in one line: number, time, trigger, outcome, then what was found and why that."""
    line = f"{values['number']:5}  {values['time']}  {values['trigger']:9}  {values['outcome']:9}"
    if values["anchor_ms"] is not None:
        line += f"  {values['anchor_ms']:.4g} ms {values['drift']:+.1%}"
    if values["agreement"] is not None:
        line += f"  agreement {values['agreement']:.2f}"
    return f"{line}  {values['reason']}".rstrip()


def devices_table(devices: Sequence["Device"]) -> "Table":
    """One row for each device; the caption counts states."""
    from collections import Counter

    from rich.table import Table

    states = Counter(str(one.state) for one in devices)
    caption = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no device yet"
    table = Table(caption=caption)
    for column in _COLUMNS:
        # A long reason would make a row of many lines; 'device show' has it in full.
        table.add_column(column, no_wrap=column in ("device", "state", "seen", "reason"))
    for device in devices:
        values = device_values(device)
        values["seen"] = values["seen"][5:19].replace("T", " ")
        table.add_row(*(str(values[column]) for column in _COLUMNS))
    return table


def text_time(seconds: float) -> str:
    """UTC to the second; empty for 0."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""
