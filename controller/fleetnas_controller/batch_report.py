"""What is told of networks that were measured in turns: each one, and how it differs from the first."""

__all__ = ["batch_document", "batch_rows", "difference_rows"]

from collections.abc import Mapping, Sequence
from typing import Any

from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.measurement_report import document_of, span_text
from fleetnas_controller.user_network import UserNetwork
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.statistics import ratio_estimate


def batch_document(
    record: MeasurementRecord, networks: Sequence[UserNetwork], resolution: float | None
) -> dict[str, Any]:
    """The document of ``fleetnas device measure --json`` for several files.

    Args:
        resolution: Smallest relative difference that the device's self-test allows to claim; None without one.
    """
    assert record.result is not None  # the record is of a measurement that is done
    results = record.result.batch
    documents = [document_of(record, one, result) for one, result in zip(networks, results, strict=True)]
    return {
        "networks": documents,
        "differences": [
            _difference(str(one.files[0][1]), str(networks[0].files[0][1]), result, results[0], resolution)
            for one, result in zip(networks[1:], results[1:], strict=True)
        ],
        "resolution": resolution,
        "anchor_change": _float(documents[0]["evidence"].get("anchor_change")),
        "drift_repeats": int(documents[0]["evidence"].get("drift_repeats", 0)),
    }


def batch_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A header and a row for each network."""
    rows = [["file", "latency", "relative to the anchor", "verdict"]]
    rows += [
        [one["file"], span_text(one["latency_ms"]), span_text(one["ratio_to_anchor"], ""), one["verdict"]]
        for one in document["networks"]
    ]
    return rows


def difference_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A header and a row for each network but the first."""
    rows = [[f"against {document['networks'][0]['file']}", "difference", ""]]
    for one in document["differences"]:
        span = f"{one['value']:+.2%} ({one['low']:+.2%} to {one['high']:+.2%}, {one['level']:.0%})"
        rows.append([one["file"], span, _claim(one, document["resolution"])])
    return rows


def _difference(
    file: str, against: str, result: Measurement, first: Measurement, resolution: float | None
) -> dict[str, Any]:
    statistic = result.statistic
    ratio = ratio_estimate(
        result.raw.candidate.by_round(statistic), first.raw.candidate.by_round(statistic), statistic.quantile
    )
    resolved = not ratio.low <= 1.0 <= ratio.high and abs(ratio.value - 1.0) >= (resolution or 0.0)
    return {
        "file": file,
        "against": against,
        "value": ratio.value - 1.0,
        "low": ratio.low - 1.0,
        "high": ratio.high - 1.0,
        "level": ratio.level,
        "resolved": resolved,
    }


def _claim(difference: Mapping[str, Any], resolution: float | None) -> str:
    if difference["resolved"]:
        return "slower" if difference["value"] > 0.0 else "faster"
    if resolution is not None and abs(difference["value"]) < resolution:
        return f"none beyond {resolution:.1%}, the device's resolution"
    return "not told apart"


def _float(text: str | None) -> float | None:
    return float(text) if text is not None else None
