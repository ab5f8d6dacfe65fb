"""Searches of the controller, and their trials, as clients see them. Data only."""

__all__ = [
    "CLIENT_ACCURACY",
    "SearchInfo",
    "SearchState",
    "ToldLatency",
    "TrialInfo",
    "TrialReading",
    "search_id",
    "search_name",
    "trial_info",
]

import re
from dataclasses import dataclass
from enum import StrEnum

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import DeviceReading, Trial, TrialPhase, TrialState
from fleetnas_latency.statistics import Estimate
from fleetnas_search_spaces.errors import InvalidArgumentError

CLIENT_ACCURACY = "client"
"""The accuracy source of a search whose networks a client's own trainer evaluates."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SearchState(StrEnum):
    """QUEUED -> RUNNING -> FINISHED | FAILED on the controller; OPEN -> FINISHED for a client's trainer; CANCELLED
    from each that has not ended."""

    QUEUED = "queued"
    RUNNING = "running"
    OPEN = "open"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (SearchState.FINISHED, SearchState.FAILED, SearchState.CANCELLED)


@dataclass(frozen=True, slots=True)
class SearchInfo:
    """A search and where it stands.

    Attributes:
        name: ``searches/{config.name}``.
        create_time: Seconds since 1970.
        reason: Why it is in this state; empty when there is nothing to say.
        ended_count: Trials that are finished or failed.
        result_json: What ``fleetnas search --json`` prints at the end; empty before.
    """

    name: str
    config: SearchConfig
    state: SearchState
    create_time: float
    reason: str = ""
    trial_count: int = 0
    ended_count: int = 0
    result_json: str = ""


@dataclass(frozen=True, slots=True)
class TrialReading:
    """``trials.DeviceReading`` with the device's name."""

    device: str
    measurement: str
    target: str
    verdict: str
    source: str
    latency_ms: Estimate | None
    anchor_ms: Estimate | None = None
    ratio: Estimate | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """``trials.Trial`` with its search.

    Attributes:
        macs, params: None when nobody counted them.
        worker: Who took it, in the client's words; empty when the controller runs the search.
    """

    search: str
    number: int
    phase: TrialPhase
    architecture: str
    state: TrialState
    order: int = -1
    accuracy: float | None = None
    accuracy_source: str = ""
    macs: int | None = None
    params: int | None = None
    readings: tuple[TrialReading, ...] = ()
    fault: str = ""
    worker: str = ""
    finish_time: float = 0.0


@dataclass(frozen=True, slots=True)
class ToldLatency:
    """A latency that a client measured, milliseconds; ``std_ms`` is that of the value as an estimate."""

    device: str
    latency_ms: float
    std_ms: float = 0.0


def trial_info(search: str, trial: Trial, worker: str = "") -> TrialInfo:
    """A trial as clients see it.

    Args:
        search: ``searches/{search}``.
    """
    return TrialInfo(
        search=search,
        number=trial.number,
        phase=trial.phase,
        architecture=trial.architecture,
        state=trial.state,
        order=trial.order,
        accuracy=trial.accuracy,
        accuracy_source=trial.accuracy_source,
        macs=trial.macs or None,
        params=trial.params or None,
        readings=tuple(_reading(device, one) for device, one in sorted(trial.readings.items())),
        fault=trial.fault,
        worker=worker,
        finish_time=trial.finish_time,
    )


def search_id(name: str) -> str:
    """The id of ``searches/{id}`` or of a bare id; InvalidArgumentError when it is none."""
    identifier = name.removeprefix("searches/")
    if not _ID.fullmatch(identifier):
        raise InvalidArgumentError(
            f"'{name[:80]}' cannot name a search: use 1 to 64 letters, digits, '.', '_' or '-'."
        )
    return identifier


def search_name(name: str) -> str:
    """``searches/{id}`` of an id or a name; errors as ``search_id``."""
    return f"searches/{search_id(name)}"


def _reading(device: str, one: DeviceReading) -> TrialReading:
    return TrialReading(
        device=device,
        measurement=one.measurement,
        target=one.target,
        verdict=one.verdict,
        source=one.source,
        latency_ms=one.latency_ms,
        anchor_ms=one.anchor_ms,
        ratio=one.ratio,
        reason=one.reason,
    )
