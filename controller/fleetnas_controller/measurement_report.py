"""What is told of one measurement: a document for `--json`, rows for people, both of the same values."""

__all__ = [
    "document_of",
    "measurement_document",
    "measurement_rows",
    "operator_rows",
    "span_text",
]

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.user_network import UserNetwork
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.statistics import Estimate, Statistic
from fleetnas_latency.tail import fewest_runs, tail_ms

_NOT_AVAILABLE = "not available"
_COSTS = ("convert_ms", "first_load_ms", "load_ms", "peak_memory_kib", "memory_kib_before_load")
_ENERGY = ("energy_j_per_run", "energy_resolution_j")
_STATISTICS = {
    Statistic.WALL_MEDIAN: "wall time, median",
    Statistic.CPU_MEDIAN: "CPU time, median",
    Statistic.CPU_P10: "CPU time, lowest decile",
}


def measurement_document(record: MeasurementRecord, network: UserNetwork) -> dict[str, Any]:
    """The document of ``fleetnas device measure --json``; a value the device does not give is None."""
    assert record.result is not None  # the record is of a measurement that is done
    return document_of(record, network, record.result)


def document_of(record: MeasurementRecord, network: UserNetwork, result: Measurement) -> dict[str, Any]:
    """The same of one network among several that were measured in turns."""
    assert record.target is not None  # the record is of a measurement that is done
    evidence = dict(result.evidence)
    target = asdict(record.target)
    # The record's target is the first network's; the others may be of another precision.
    target["precision"] = evidence.get("precision", target["precision"])
    raw = result.raw
    return {
        "file": str(network.files[0][1]),
        "model_bytes": network.size_bytes,
        "device": record.device.removeprefix("devices/"),
        "target": target,
        "statistic": str(result.statistic),
        "latency_ms": _interval(result.estimate),
        "statistics_ms": {str(one.statistic): _interval(one.estimate) for one in result.others},
        "p90_ms": tail_ms(raw.candidate.wall_ms) if raw.candidate.inner_count == 1 else None,
        "verdict": str(result.verdict),
        "reason": result.reason,
        "anchor_ms": _interval(result.anchor),
        "ratio_to_anchor": _interval(result.ratio),
        "run_count": len(raw.candidate.wall_ms),
        "inner_count": raw.candidate.inner_count,
        "round_count": raw.round_count,
        "warmup_run_count": raw.warmup_run_count,
        "warmup_s": raw.warmup_duration_s,
        "warmup_steady": raw.warmup_steady,
        "sampling_s": raw.sampling_duration_s,
        "contention": result.contention or None,
        "drift": result.drift,
        **{name: _number(evidence.get(name)) for name in (*_COSTS, *_ENERGY)},
        "operators": [asdict(one) for one in result.operators],
        "evidence": {name: value for name, value in evidence.items() if name not in _COSTS},
    }


def measurement_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A header, then a row for each thing: its name and its value as text."""
    target = document["target"]
    warmth = "steady" if document["warmup_steady"] else "not steady at its cap"
    rows = [
        ["", document["file"]],
        ["device", f"{document['device']}: {target['device_model']}{_stand_in(target)}"],
        ["runtime", _runtime(target)],
        ["latency", f"{span_text(document['latency_ms'])}, {_STATISTICS[Statistic(document['statistic'])]}"],
        ["verdict", f"{document['verdict']}: {document['reason']}"],
    ]
    for name, interval in document["statistics_ms"].items():
        if name != document["statistic"]:
            rows.append([_STATISTICS[Statistic(name)], span_text(interval)])
    rows += [
        ["p90, wall time", _tail(document)],
        ["relative to the anchor", span_text(document["ratio_to_anchor"], "")],
        ["first load", _value(document["first_load_ms"], " ms")],
        ["warm load", _value(document["load_ms"], " ms")],
        ["peak memory", _memory(document)],
        ["energy of one inference", _energy(document)],
        ["model", f"{document['model_bytes'] / 1e6:.2f} MB"],
        ["warm-up", f"{document['warmup_run_count']} runs, {document['warmup_s']:.1f} s, {warmth}"],
        ["wall over CPU time", _value(document["contention"], "", 3)],
        ["drift", f"{document['drift']:+.2%}"],
    ]  # fmt: skip
    rows += [
        [name.replace("_", " "), value]
        for name, value in sorted(document["evidence"].items())
        if not name.startswith("energy_")
    ]
    return rows


def operator_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """A header and a row for each operator, the longest first; the header alone without a profile."""
    rows = [["operator", "kind", "median of one inference", "share"]]
    rows += [
        [one["name"], one["kind"], f"{one['median_ms']:.4g} ms", f"{one['share']:.1%}"]
        for one in document["operators"]
    ]
    return rows


def _interval(estimate: Estimate | None) -> dict[str, float] | None:
    return asdict(estimate) if estimate is not None else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def span_text(interval: Mapping[str, float] | None, unit: str = " ms") -> str:
    if interval is None:
        return _NOT_AVAILABLE
    low, high = interval["low"], interval["high"]
    return f"{interval['value']:.4g}{unit} ({low:.4g} to {high:.4g}, {interval['level']:.0%})"


def _value(value: float | None, unit: str, digits: int = 4) -> str:
    return f"{value:.{digits}g}{unit}" if value is not None else _NOT_AVAILABLE


def _tail(document: Mapping[str, Any]) -> str:
    if document["p90_ms"] is not None:
        return f"{document['p90_ms']:.4g} ms (upper bound at 99 %, MLPerf's early-stopping rule)"
    if document["inner_count"] > 1:
        return f"{_NOT_AVAILABLE}: runs were timed {document['inner_count']} at a time"
    return f"{_NOT_AVAILABLE}: needs {fewest_runs()} runs, there are {document['run_count']}"


def _memory(document: Mapping[str, Any]) -> str:
    peak, before = document["peak_memory_kib"], document["memory_kib_before_load"]
    if peak is None:
        return _NOT_AVAILABLE
    rest = f", {before / 1024:.1f} MiB of them before loading" if before is not None else ""
    return f"{peak / 1024:.1f} MiB{rest}"


def _energy(document: Mapping[str, Any]) -> str:
    joules, step = document["energy_j_per_run"], document["energy_resolution_j"]
    if joules is None or step is None:
        return str(document["evidence"].get("energy_j_per_run", _NOT_AVAILABLE))
    source = document["evidence"].get("energy_source", "an unnamed counter")
    return f"{joules:.4g} J, in steps of {step:.2g} J ({source})"


def _runtime(target: Mapping[str, Any]) -> str:
    threads = "1 thread" if target["thread_count"] == 1 else f"{target['thread_count']} threads"
    cores = f" on core {target['core_set']}" if target["core_set"] else ""
    return f"{target['runtime']} {target['runtime_version']}, {target['precision']}, {threads}{cores}"


def _stand_in(target: Mapping[str, Any]) -> str:
    return f" ({target['stand_in']}, not a real device)" if target["stand_in"] else ""
