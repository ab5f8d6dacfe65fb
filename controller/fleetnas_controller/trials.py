"""The trials of searches, and what a repository of them promises."""

__all__ = ["DeviceReading", "SearchRecord", "Trial", "TrialPhase", "TrialState", "Trials"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from fleetnas_controller.search_config import SearchConfig
from fleetnas_latency.statistics import Estimate
from fleetnas_training.staged_training import Curve


class TrialPhase(StrEnum):
    """Why an architecture is evaluated."""

    REFERENCE = "reference"
    SEARCH = "search"
    CONFIRM = "confirm"
    EARLIER = "earlier"
    """Not evaluated here but taken over from an earlier search, whose readings it bears."""


class TrialState(StrEnum):
    """PROPOSED until its measurements and its accuracy are in, then one of the others, for good.

    STOPPED: its training was ended early; it is never an answer.
    """

    PROPOSED = "proposed"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """What one device said of one trial.

    Attributes:
        measurement: Name of the accepted measurement, e.g. ``"measurements/run-00007-host-0"``.
        verdict: Only ``"ok"`` readings count for caps.
        source: ``"measured"`` on a real device, ``"replayed"`` from published data.
        latency_ms: Headline statistic on the target.
        anchor_ms: The reference network's, measured in turns with it; None without an anchor.
        ratio: Latency over the anchor's; None without an anchor.
        reason: The verdict's sentence, or the fault's.
    """

    measurement: str
    target: str
    verdict: str
    source: str
    latency_ms: Estimate | None
    anchor_ms: Estimate | None = None
    ratio: Estimate | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One architecture under evaluation.

    Attributes:
        number: Counts from 0 in a search, in the order of proposal.
        architecture: Canonical, in the space's text form.
        order: Place among the finished trials, in which the strategy was told; -1 until then.
        macs, params, model_bytes, memory_bytes: Exact counts; the bytes are 0 in trials of older versions.
        accuracy: After all epochs, or, where it was STOPPED, after as many as it came to.
        curve: Of its training, where a rule could have ended that early.
        predicted_ms: By device: what the table said *before* it was measured, mean and standard deviation.
    """

    number: int
    phase: TrialPhase
    architecture: str
    state: TrialState = TrialState.PROPOSED
    order: int = -1
    macs: int = 0
    params: int = 0
    model_bytes: int = 0
    memory_bytes: int = 0
    accuracy: float | None = None
    accuracy_source: str = ""
    curve: Curve | None = None
    readings: Mapping[str, DeviceReading] = field(default_factory=dict)
    predicted_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fault: str = ""
    finish_time: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """A search and where it stands.

    Attributes:
        wall_s: Seconds spent on it so far, over all its sessions.
        result: The document that was printed at its end; empty before.
    """

    config: SearchConfig
    create_time: float
    wall_s: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)


class Trials(Protocol):
    """The repository; ``tests/contracts`` holds what every implementation promises."""

    def create_search(self, record: SearchRecord, earlier: Sequence[Trial] = ()) -> None:
        """Begins a search, with ended trials that it takes over; AlreadyExistsError when the name is taken."""
        ...

    def search(self, name: str) -> SearchRecord:
        """Raises NotFoundError."""
        ...

    def add_wall_s(self, name: str, seconds: float) -> None: ...

    def finish_search(self, name: str, result: Mapping[str, Any]) -> None: ...

    def propose(self, search: str, trial: Trial) -> None:
        """Stores a new trial; AlreadyExistsError when its number is taken."""
        ...

    def finish(self, search: str, trial: Trial) -> Trial:
        """Stores how a trial ended and gives it the next ``order``; a finished one is returned as it is."""
        ...

    def trials(self, search: str) -> Sequence[Trial]:
        """All, by number."""
        ...
