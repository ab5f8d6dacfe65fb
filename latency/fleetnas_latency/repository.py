"""What the latency table holds, and what every store of it can do."""

__all__ = [
    "EntrySource",
    "LatencyEntry",
    "LatencyRepository",
    "Observation",
    "ObservationKind",
]

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target
from fleetnas_search_spaces.operators import Operator


class ObservationKind(StrEnum):
    """What was measured."""

    NETWORK = "network"
    OPERATOR = "operator"


class EntrySource(StrEnum):
    """Where a number comes from; reports never mix them in one column."""

    MEASURED = "measured"
    LEARNED = "learned"
    IMPORTED = "imported"
    TRANSFERRED = "transferred"
    PRIOR = "prior"


@dataclass(frozen=True, slots=True)
class Observation:
    """One accepted result of a measurement, good or not.

    Attributes:
        measurement_id: Unique in the table; putting the same one again changes nothing.
        key: ``Architecture.key`` of the canonical architecture, or ``operator_text.operator_key``.
        latency: Milliseconds of the target's statistic.
        space: Of the architecture, or the one an operator was measured for.
        operator: For a single operator or block; None for a network.
        ratio: To the anchor measured in the same rounds; None without an anchor.
        anchor_key: Names the anchor; ratios to different anchors never mix.
        anchor_ms: The anchor's latency in the same measurement; 0 without an anchor.
        created_time: Seconds since 1970.
    """

    measurement_id: str
    target: Target
    kind: ObservationKind
    key: str
    latency: Estimate
    verdict: Verdict
    created_time: float
    space: str = ""
    operator: Operator | None = None
    ratio: Estimate | None = None
    anchor_key: str = ""
    anchor_ms: float = 0.0
    source: EntrySource = EntrySource.MEASURED
    agent: str = ""
    model_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LatencyEntry:
    """What the table knows under one key.

    Attributes:
        operator: None for a network, and for the overhead that every network has once (key ``"overhead"``).
        count: Measurements behind it.
        updated_time: Seconds since 1970.
    """

    key: str
    mean_ms: float
    std_ms: float
    source: EntrySource
    count: int
    updated_time: float
    space: str = ""
    operator: Operator | None = None


class LatencyRepository(Protocol):
    """A store of latencies; ``tests/contracts/test_latency_repository.py`` is what each has to keep."""

    def put_observations(self, observations: Sequence[Observation]) -> int:
        """Stores all or none.

        Returns:
            How many were new; those already there with the same content are not.

        Raises:
            AlreadyExistsError: A measurement id is there with other content.
        """
        ...

    def observations(self, target: Target, space: str = "") -> tuple[Observation, ...]:
        """Every observation of a target, whatever its verdict, oldest first; of all spaces when empty."""
        ...

    def targets(self) -> tuple[Target, ...]:
        """Every target with an observation or an entry, in the order of their keys."""
        ...

    def put_entries(self, target: Target, space: str, entries: Sequence[LatencyEntry]) -> None:
        """Replaces the learned entries of a space on a target."""
        ...

    def coverage(self, target: Target, space: str) -> tuple[LatencyEntry, ...]:
        """The learned entries of a space on a target, in the order of their keys."""
        ...

    def query(self, target: Target, key: str) -> LatencyEntry:
        """What is known under one key: good measurements of exactly that, else the learned entry.

        Raises:
            NotFoundError: Nothing is.
        """
        ...
