"""What people see of a search's document: tables and sentences."""

__all__ = ["front_lines", "nearest_lines", "pick_lines", "soft_cap_lines", "statistic_lines", "summary_lines"]

from collections.abc import Mapping, Sequence
from typing import Any


def summary_lines(result: Mapping[str, Any]) -> list[list[str]]:
    """The table of the README: a header and one row for each device.

    Columns: device, latency of reference and found with its interval, change, accuracy of both, change.
    """
    rows = [
        ["device", "latency, reference -> found (95 % interval)", "change", "accuracy, published", "change"]
    ]
    reference, found, change = result["reference"], result["found"], result["change"]
    for device, before in reference["latency_ms"].items():
        after = found["latency_ms"][device]
        percent = _claim(change["latency"][device])
        rows.append(
            [
                device,
                f"{before['median']:.3f} -> {after['median']:.3f} ms ({after['low']:.3f} to {after['high']:.3f}), "
                f"{after['source']}",
                percent,
                f"{reference['accuracy']:.2f} -> {found['accuracy']:.2f} %",
                f"{change['accuracy']:+.2f} points",
            ]
        )
    return rows


def _claim(change: Mapping[str, float]) -> str:
    """The change in percent, unless it is finer than what the device can tell apart."""
    resolution = change.get("resolution", 0.0)
    if abs(change["value"]) < resolution:
        return f"none beyond {100 * resolution:.1f} %, the device's resolution"
    return f"{100 * change['value']:+.1f} %"


def front_lines(result: Mapping[str, Any]) -> list[list[str]]:
    """The front as a table: a header and one row for each network, by descending accuracy; empty without one."""
    front = result.get("front", [])
    if not front:
        return []
    devices = list(front[0]["latency_ms"])
    return [_network_head(devices), *(_network_line(one, devices) for one in front)]


def nearest_lines(result: Mapping[str, Any]) -> list[list[str]]:
    """The nearest miss as a table: a header and a row for each device; empty where something was found."""
    nearest = result["nearest"]
    if not nearest:
        return []
    return [
        ["network", "accuracy", "device", "latency (95 % interval)", "verdict"],
        *(
            [
                nearest["architecture"],
                f"{nearest['accuracy']:.2f} %",
                device,
                f"{one['median']:.3f} ms ({one['low']:.3f} to {one['high']:.3f}), {one['source']}",
                one["verdict"],
            ]
            for device, one in nearest["latency_ms"].items()
        ),
    ]


def pick_lines(picks: Sequence[Mapping[str, Any]], device: str) -> list[list[str]]:
    """One device's picks as a table: a header and one row for each, by descending accuracy."""
    rows = [[one["role"], str(one["stands_for"]), *_network_line(one, [device])] for one in picks]
    return [["picked as", "stands for", *_network_head([device])], *rows]


def soft_cap_lines(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each soft cap: what the found network pays."""
    return [
        f"soft cap latency_ms:{one['device']}: {one['over_ms']:.4g} ms over {one['limit_ms']:.4g} ms at "
        f"{one['price']:.4g} points a millisecond: {one['points']:.3g} points of accuracy"
        for one in result.get("soft_caps", ())  # older documents have none
    ]


def statistic_lines(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each device: which statistic its latencies are, and why."""
    return [
        f"{device}: latencies are {one['statistic']} ({one['reason']})"
        for device, one in result.get("statistics", {}).items()  # older documents have none
    ]


def _network_head(devices: Sequence[str]) -> list[str]:
    return ["network", "accuracy", *(f"{one} (95 % interval)" for one in devices), "M MACs", "M parameters"]


def _network_line(network: Mapping[str, Any], devices: Sequence[str]) -> list[str]:
    latencies = [network["latency_ms"][device] for device in devices]
    return [
        network["architecture"],
        f"{network['accuracy']:.2f} %",
        *(
            f"{one['median']:.3f} ms ({one['low']:.3f} to {one['high']:.3f}), {one['source']}"
            for one in latencies
        ),
        f"{network['macs'] / 1e6:.1f}",
        f"{network['params'] / 1e6:.2f}",
    ]
