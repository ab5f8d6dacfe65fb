"""What a strategy is told, what it answers, and nothing else."""

__all__ = [
    "Cap",
    "CapKind",
    "Cost",
    "LearnsBefore",
    "Outcome",
    "Problem",
    "Ranks",
    "Reading",
    "SoftCap",
    "Strategy",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Protocol, runtime_checkable

from fleetnas_search_spaces.architecture import Architecture, SearchSpace


class CapKind(StrEnum):
    """A quantity that may be capped."""

    LATENCY_MS = "latency_ms"
    MACS = "macs"
    PARAMS = "params"
    MODEL_BYTES = "model_bytes"
    MEMORY_BYTES = "memory_bytes"


@dataclass(frozen=True, slots=True)
class Cap:
    """An upper limit that the answer must keep.

    Attributes:
        limit: In the kind's unit: milliseconds, a count, or bytes.
        device: The device a latency cap is about; empty for the others.
    """

    kind: CapKind
    limit: float
    device: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.device}" if self.device else str(self.kind)


@dataclass(frozen=True, slots=True)
class Cost:
    """A quantity that is to be small where accuracy is to be high: an axis of the front.

    Attributes:
        worst: The value from which on a network is of no use; None: the strategy takes the worst of the first trials.
        device: The device a latency is about; empty for the others.
    """

    kind: CapKind
    device: str = ""
    worst: float | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.device}" if self.device else str(self.kind)


@dataclass(frozen=True, slots=True)
class SoftCap:
    """A latency that may be exceeded, at a price.

    Attributes:
        price: Points of accuracy that each millisecond over the limit costs.
    """

    device: str
    limit_ms: float
    price: float


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched: the most accurate architecture of ``space`` that keeps every cap.

    Attributes:
        accuracy_noise: Whether evaluating an architecture twice may give two accuracies.
        costs: Not empty: instead of one architecture the front of accuracy against these is searched.
        soft: What is searched is the highest accuracy less the prices of what is over these limits.
        worst_accuracy: Percent; of a front, the accuracy up to which a network is of no use.
    """

    space: SearchSpace
    caps: tuple[Cap, ...] = ()
    accuracy_noise: bool = False
    costs: tuple[Cost, ...] = ()
    worst_accuracy: float = 0.0
    soft: tuple[SoftCap, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured quantity with its spread.

    Attributes:
        value: Milliseconds.
        std: Standard deviation of ``value`` as an estimate, milliseconds.
    """

    value: float
    std: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished trial.

    Attributes:
        number: The trial's number; outcomes may be told out of order, some never, one twice.
        architecture: Canonical; not necessarily one that this strategy proposed.
        accuracy: Percent; ``None`` when the trial failed.
        latencies: By device.
        macs, params, model_bytes, memory_bytes: Exact counts.
    """

    number: int
    architecture: Architecture
    accuracy: float | None
    latencies: Mapping[str, Reading] = field(default_factory=dict)
    macs: int = 0
    params: int = 0
    model_bytes: int = 0
    memory_bytes: int = 0


class Strategy(Protocol):
    """Proposes architectures and learns from outcomes. Owns no loop, no thread, no file, no clock.

    A strategy is a pure function of what it was told, in the order it was told, and of the generators it is
    handed: a search that was killed is resumed by telling a fresh instance the stored outcomes, and then goes on
    as the unbroken one would. So ``ask`` leaves no state behind that a missing ``tell`` would make wrong, and
    all randomness comes from ``rng`` (which the search derives from its seed and the trial's number).
    """

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        """Proposes a canonical architecture, while ``pending`` are being evaluated elsewhere."""
        ...

    def tell(self, outcome: Outcome, rng: Random) -> None:
        """Learns from a finished trial. A number that was told before is ignored."""
        ...


@runtime_checkable
class Ranks(Protocol):
    """A strategy that knows better than "best observed value" what to answer."""

    def rank(self) -> Sequence[Architecture]:
        """Evaluated architectures, the best answer first; those thought to break a cap come last."""
        ...


@runtime_checkable
class LearnsBefore(Protocol):
    """A strategy that makes use of an earlier search's trials even where they are known in part only.

    Others are told the whole ones, before their own.
    """

    def learn(self, outcome: Outcome, rng: Random) -> None:
        """Takes in a trial of an earlier search, which may lack its accuracy or latencies; no part of the budget."""
        ...
