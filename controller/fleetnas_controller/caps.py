"""Caps as a search keeps them: limits in units, and whether a confirmed measurement keeps each."""

__all__ = ["CapReport", "CapState", "exact_limits", "limits", "report_caps", "soft_limits"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import Cap, CapKind, SoftCap
from fleetnas_controller.trials import DeviceReading, Trial
from fleetnas_latency.statistics import Estimate


class CapState(StrEnum):
    """KEPT only when every confirmation's interval lies wholly under the limit."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class CapReport:
    """One cap and what was found about it.

    Attributes:
        name: E.g. ``"latency_ms:host"``, ``"latency_ratio:host"``, ``"macs"``, ``"memory_bytes"``.
        limit, value, low, high: In the unit the name ends in; a ratio is to the reference network.
    """

    name: str
    device: str
    limit: float
    value: float | None
    low: float | None
    high: float | None
    state: CapState


def limits(config: SearchConfig, reference_ms: Mapping[str, float]) -> tuple[Cap, ...]:
    """The caps in the units strategies work in.

    Args:
        reference_ms: By device, the reference network's latency; a relative cap is a share of it.
    """
    caps = []
    for device in config.devices:
        absolute_ms = config.latency_cap_ms(device)
        bounds = [] if absolute_ms is None else [absolute_ms]
        if config.latency_drop is not None:
            bounds.append((1.0 - config.latency_drop) * reference_ms[device])
        if bounds:
            caps.append(Cap(CapKind.LATENCY_MS, min(bounds), device))
    return (*caps, *exact_limits(config))


def exact_limits(config: SearchConfig) -> tuple[Cap, ...]:
    """The caps that need no measurement."""
    given = {kind: getattr(config, f"max_{kind}") for kind in CapKind if kind is not CapKind.LATENCY_MS}
    return tuple(Cap(kind, limit) for kind, limit in given.items() if limit is not None)


def soft_limits(config: SearchConfig) -> tuple[SoftCap, ...]:
    """The soft caps, one for each device."""
    if config.soft_latency_ms is None or config.soft_price is None:
        return ()
    return tuple(SoftCap(one, config.soft_latency_ms, config.soft_price) for one in config.devices)


def report_caps(config: SearchConfig, confirmations: Sequence[Trial]) -> tuple[CapReport, ...]:
    """Every cap against the confirmations of one architecture; the worst confirmation speaks."""
    reports = []
    for device in config.devices:
        readings = [one.readings[device] for one in confirmations if device in one.readings]
        absolute_ms = config.latency_cap_ms(device)
        if absolute_ms is not None:
            found = [one.latency_ms for one in readings if _counts(one)]
            reports.append(_judged("latency_ms", device, absolute_ms, found))
        if config.latency_drop is not None:
            found = [one.ratio for one in readings if _counts(one)]
            reports.append(_judged("latency_ratio", device, 1.0 - config.latency_drop, found))
    for cap in exact_limits(config):
        counts = [float(getattr(one, cap.kind)) for one in confirmations]
        reports.append(_judged(cap.name, "", cap.limit, [Estimate(count, count, count) for count in counts]))
    return tuple(reports)


def _counts(reading: DeviceReading) -> bool:
    return reading.verdict == "ok"


def _judged(kind: str, device: str, limit: float, found: Sequence[Estimate | None]) -> CapReport:
    name = f"{kind}:{device}" if device else kind
    known = [one for one in found if one is not None]
    if not known:
        return CapReport(name, device, limit, None, None, None, CapState.NOT_MEASURED)
    worst = max(known, key=lambda one: one.high)
    state = CapState.KEPT if worst.high < limit or (not device and worst.high <= limit) else CapState.NOT_KEPT
    return CapReport(name, device, limit, worst.value, worst.low, worst.high, state)
