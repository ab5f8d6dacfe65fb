"""What was measured gets old: the device's speed drifts, its runtime is replaced."""

__all__ = ["DRIFT_LIMIT", "anchor_drifts", "drift_std_ms", "superseding"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from fleetnas_latency.repository import LatencyRepository, Observation
from fleetnas_latency.target import Target

DRIFT_LIMIT = 0.03
"""Relative change of an anchor that counts as none, the same as inside one measurement."""
_LATEST_ANCHORS = 5
_DRIFT_SHARE = 0.25


def anchor_drifts(observations: Sequence[Observation]) -> Mapping[str, float]:
    """By measurement id, how far the anchor measured beside it lies from where that anchor is now, relatively.

    Now is the median of the last five. Observations without an anchor are not listed: nothing is known of them.
    """
    anchored = [one for one in observations if one.ratio is not None and one.anchor_ms > 0.0]
    ordered = sorted(anchored, key=lambda one: (one.created_time, one.measurement_id))
    latest: dict[str, list[float]] = {}
    for one in ordered:
        latest[one.anchor_key] = [*latest.get(one.anchor_key, []), one.anchor_ms][-_LATEST_ANCHORS:]
    now_ms = {key: median(values) for key, values in latest.items()}
    return {one.measurement_id: abs(one.anchor_ms / now_ms[one.anchor_key] - 1.0) for one in ordered}


def drift_std_ms(latency_ms: float, drift: float) -> float:
    """The deviation to add to a latency whose anchor has drifted since.

    The ratio to the anchor carries over to the device's speed of today, but not exactly: what heat or another
    clock slows down differs from network to network. A quarter of the drift is what we take for that.
    """
    return _DRIFT_SHARE * drift * latency_ms if drift > DRIFT_LIMIT else 0.0


def superseding(table: LatencyRepository, target: Target) -> Target | None:
    """The same device with another version of the same runtime, measured later; None if this is the newest."""
    newest, newest_time = None, _latest_time(table.observations(target))
    for other in table.targets():
        if other == target or replace(other, runtime_version=target.runtime_version) != target:
            continue
        time = _latest_time(table.observations(other))
        if time > newest_time:
            newest, newest_time = other, time
    return newest


def _latest_time(observations: Iterable[Observation]) -> float:
    return max((one.created_time for one in observations), default=0.0)
