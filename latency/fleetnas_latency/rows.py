"""Dataclasses of the latency table as rows, both ways."""

__all__ = [
    "damage",
    "from_entry",
    "from_observation",
    "from_target",
    "to_entry",
    "to_observation",
    "to_target",
]

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.operator_text import operator_from_json, operator_to_json
from fleetnas_latency.repository import EntrySource, LatencyEntry, Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import DataLossError
from fleetnas_search_spaces.operators import Operator, Precision

Row = Mapping[str, Any]


@contextmanager
def damage() -> Iterator[None]:
    """Raises DataLossError where a stored row says what none of ours says."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise DataLossError(
            f"a row of the latency table is damaged ({error}): put the file aside, or restore a copy of it."
        ) from error


def from_target(target: Target) -> dict[str, Any]:
    return {
        "target_key": target.key,
        "device_model": target.device_model,
        "runtime": target.runtime,
        "runtime_version": target.runtime_version,
        "thread_count": target.thread_count,
        "core_set": target.core_set,
        "precision_name": str(target.precision),
        "statistic": target.statistic,
        "stand_in": target.stand_in,
    }


def to_target(row: Row) -> Target:
    return Target(
        device_model=row["device_model"],
        runtime=row["runtime"],
        runtime_version=row["runtime_version"],
        thread_count=row["thread_count"],
        core_set=row["core_set"],
        precision=Precision(row["precision_name"]),
        statistic=row["statistic"],
        stand_in=row["stand_in"],
    )


def from_observation(observation: Observation) -> dict[str, Any]:
    latency, ratio = observation.latency, observation.ratio
    return {
        "measurement_id": observation.measurement_id,
        "target_key": observation.target.key,
        "kind": str(observation.kind),
        "space": observation.space,
        "entry_key": observation.key,
        "operator_json": _json(observation.operator),
        "value_ms": latency.value,
        "low_ms": latency.low,
        "high_ms": latency.high,
        "std_ms": latency.std,
        "level": latency.level,
        "ratio": ratio.value if ratio else None,
        "ratio_low": ratio.low if ratio else None,
        "ratio_high": ratio.high if ratio else None,
        "ratio_level": ratio.level if ratio else None,
        "anchor_key": observation.anchor_key,
        "anchor_ms": observation.anchor_ms,
        "verdict": str(observation.verdict),
        "source": str(observation.source),
        "agent": observation.agent,
        "model_sha256": observation.model_sha256,
        "created_time": observation.created_time,
    }


def to_observation(row: Row, target: Target) -> Observation:
    ratio = None
    if row["ratio"] is not None:
        ratio = Estimate(row["ratio"], row["ratio_low"], row["ratio_high"], row["ratio_level"])
    return Observation(
        measurement_id=row["measurement_id"],
        target=target,
        kind=ObservationKind(row["kind"]),
        key=row["entry_key"],
        latency=Estimate(*(float(row[name]) for name in ("value_ms", "low_ms", "high_ms", "level"))),
        verdict=Verdict(row["verdict"]),
        created_time=row["created_time"],
        space=row["space"],
        operator=_operator(row["operator_json"]),
        ratio=ratio,
        anchor_key=row["anchor_key"],
        anchor_ms=row["anchor_ms"],
        source=EntrySource(row["source"]),
        agent=row["agent"],
        model_sha256=row["model_sha256"],
    )


def from_entry(entry: LatencyEntry, target: Target, space: str) -> dict[str, Any]:
    return {
        "target_key": target.key,
        "space": space,
        "entry_key": entry.key,
        "operator_json": _json(entry.operator),
        "mean_ms": entry.mean_ms,
        "std_ms": entry.std_ms,
        "source": str(entry.source),
        "observation_count": entry.count,
        "updated_time": entry.updated_time,
    }


def to_entry(row: Row) -> LatencyEntry:
    return LatencyEntry(
        key=row["entry_key"],
        mean_ms=row["mean_ms"],
        std_ms=row["std_ms"],
        source=EntrySource(row["source"]),
        count=row["observation_count"],
        updated_time=row["updated_time"],
        space=row["space"],
        operator=_operator(row["operator_json"]),
    )


def _json(operator: Operator | None) -> str | None:
    return None if operator is None else operator_to_json(operator)


def _operator(text: str | None) -> Operator | None:
    return None if text is None else operator_from_json(text)
