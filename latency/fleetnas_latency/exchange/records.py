"""What a file of latencies says, before it belongs to a target."""

__all__ = ["FileRecord", "Unit", "observations_of"]

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.repository import EntrySource, Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.operators import Operator

_SHORTEST_MS, _LONGEST_MS = 1e-12, 1e12
"""Far beyond any latency, learned ones of blocks near zero included; their squares are still numbers."""
_ASSUMED_SPREAD = 0.05
"""Relative half width of the 95 % interval of a latency whose file gives none."""


class Unit(StrEnum):
    """Of the numbers in a file; text formats often do not say it."""

    MICROSECONDS = "us"
    MILLISECONDS = "ms"
    SECONDS = "s"

    @property
    def in_ms(self) -> float:
        return {Unit.MICROSECONDS: 1e-3, Unit.MILLISECONDS: 1.0, Unit.SECONDS: 1e3}[self]

    @classmethod
    def named(cls, text: str) -> "Unit":
        """Raises InvalidArgumentError for anything but us, ms and s."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise InvalidArgumentError(f"'{text}' is no unit of latency: use us, ms or s.") from None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One latency of a file.

    Attributes:
        key: Of a network, ``Architecture.key``; of an operator ours, or the file's own where we have no such
            operator: it can be queried and written again, it enters no prediction.
        space: Of a network; empty for an operator.
        half_width: Relative, of the 95 % interval; None when the file gives none.
    """

    key: str
    latency_ms: float
    operator: Operator | None = None
    space: str = ""
    half_width: float | None = None

    @classmethod
    def of_operator(cls, operator: Operator, latency_ms: float) -> "FileRecord":
        return cls(operator_key(operator), latency_ms, operator)


def observations_of(records: Sequence[FileRecord], target: Target, now: float) -> tuple[Observation, ...]:
    """The records as imported observations; the same record of the same target has the same id whenever it comes.

    Args:
        now: Seconds since 1970.

    Raises:
        InvalidArgumentError: A latency is not above zero.
    """
    return tuple(_observation(record, target, now) for record in records)


def _observation(record: FileRecord, target: Target, now: float) -> Observation:
    value = record.latency_ms
    if not _SHORTEST_MS <= value <= _LONGEST_MS:
        raise InvalidArgumentError(
            f"'{record.key}' has the latency {value} ms: it must lie between {_SHORTEST_MS:g} and {_LONGEST_MS:g} ms."
        )
    if record.half_width is not None and not 0.0 <= record.half_width < inf:
        raise InvalidArgumentError(
            f"'{record.key}' has the half width {record.half_width:g}: it is a share, 0 or more."
        )
    half_ms = value * (_ASSUMED_SPREAD if record.half_width is None else record.half_width)
    identity = f"{target.key}\n{record.key}\n{value!r}"
    return Observation(
        measurement_id=f"import/{hashlib.sha256(identity.encode()).hexdigest()[:24]}",
        target=target,
        kind=ObservationKind.NETWORK if record.space else ObservationKind.OPERATOR,
        key=record.key,
        latency=Estimate(value, value - half_ms, value + half_ms),
        verdict=Verdict.OK,
        created_time=now,
        space=record.space,
        operator=record.operator,
        source=EntrySource.IMPORTED,
    )
