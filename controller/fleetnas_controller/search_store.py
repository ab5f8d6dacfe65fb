"""Where the controller keeps its searches and the trials of those that clients evaluate."""

__all__ = ["SearchStore", "SqliteSearchStore", "ToldTrial"]

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sqlite_utils import Database

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import SearchInfo, SearchState, ToldLatency, search_name
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.trials import TrialState


@dataclass(frozen=True, slots=True)
class ToldTrial:
    """A trial that a client evaluates.

    Attributes:
        number: From 0, in the order of proposal.
        order: Place among the ended ones, in which the strategy was told; -1 before.
        accuracy: Percent.
    """

    number: int
    architecture: str
    worker: str = ""
    state: TrialState = TrialState.PROPOSED
    order: int = -1
    accuracy: float | None = None
    latencies: tuple[ToldLatency, ...] = field(default_factory=tuple)
    macs: int | None = None
    params: int | None = None
    fault: str = ""
    finish_time: float = 0.0


class SearchStore(Protocol):
    """Keeps dataclasses; decides nothing. Each call is one transaction; errors as ``storage_errors`` says."""

    def put_search(self, search: SearchInfo) -> None:
        """A new search, or the new state of a known one."""
        ...

    def search(self, name: str) -> SearchInfo | None:
        """Counts of trials are 0: they are not stored here."""
        ...

    def searches(self, after: str, limit: int) -> tuple[SearchInfo, ...]:
        """By name, from the first above ``after`` on."""
        ...

    def unended_searches(self) -> tuple[SearchInfo, ...]: ...

    def put_trial(self, search: str, trial: ToldTrial) -> None:
        """A new trial, or the end of a known one."""
        ...

    def trial(self, search: str, number: int) -> ToldTrial | None: ...

    def trials(self, search: str, after: int = -1, limit: int = -1) -> tuple[ToldTrial, ...]:
        """By number, from the first above ``after`` on; all when ``limit`` is negative."""
        ...

    def changed_trials(self, search: str, after_number: int, after_order: int) -> tuple[ToldTrial, ...]:
        """By number: those with a higher number, and those that ended with a higher ``order``."""
        ...

    def trial_counts(self, search: str) -> tuple[int, int]:
        """How many there are, and how many of them have ended."""
        ...


class SqliteSearchStore:
    """A ``SearchStore`` in the fleet's database, whose migrations have been applied."""

    def __init__(self, database: Database, place: str = "memory") -> None:
        self._db = database
        self._place = Path(place)

    def put_search(self, search: SearchInfo) -> None:
        values = [
            search.name,
            search.config.to_json(),
            search.state.value,
            search.create_time,
            search.reason,
            search.result_json,
        ]
        with storage_errors(self._place), self._db.atomic():
            self._db.execute(
                "INSERT INTO searches_served VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " state = excluded.state, reason = excluded.reason, result_json = excluded.result_json",
                values,
            )

    def search(self, name: str) -> SearchInfo | None:
        found = self._searches("WHERE name = ?", name)
        return found[0] if found else None

    def searches(self, after: str, limit: int) -> tuple[SearchInfo, ...]:
        return self._searches("WHERE name > ? ORDER BY name LIMIT ?", after, limit)

    def unended_searches(self) -> tuple[SearchInfo, ...]:
        going = [one.value for one in SearchState if not one.ended]
        marks = ", ".join("?" * len(going))
        return self._searches(f"WHERE state IN ({marks}) ORDER BY create_time, name", *going)

    def put_trial(self, search: str, trial: ToldTrial) -> None:
        values = [
            search,
            trial.number,
            trial.architecture,
            trial.worker,
            trial.state.value,
            trial.order,
            trial.accuracy,
            json.dumps([asdict(one) for one in trial.latencies]) if trial.latencies else "",
            trial.macs,
            trial.params,
            trial.fault,
            trial.finish_time,
        ]
        with storage_errors(self._place), self._db.atomic():
            self._db.execute(
                "INSERT INTO told_trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (search, number) DO UPDATE SET state = excluded.state,"
                " finish_order = excluded.finish_order, accuracy = excluded.accuracy,"
                " latencies = excluded.latencies, fault = excluded.fault, finish_time = excluded.finish_time",
                values,
            )

    def trial(self, search: str, number: int) -> ToldTrial | None:
        with storage_errors(self._place):
            query = "SELECT * FROM told_trials WHERE search = ? AND number = ?"
            rows = list(self._db.query(query, [search, number]))
        return _trial(rows[0]) if rows else None

    def trials(self, search: str, after: int = -1, limit: int = -1) -> tuple[ToldTrial, ...]:
        query = "SELECT * FROM told_trials WHERE search = ? AND number > ? ORDER BY number LIMIT ?"
        with storage_errors(self._place):
            rows = list(self._db.query(query, [search, after, limit]))
        return tuple(_trial(row) for row in rows)

    def changed_trials(self, search: str, after_number: int, after_order: int) -> tuple[ToldTrial, ...]:
        query = (
            "SELECT * FROM told_trials WHERE search = ? AND (number > ? OR finish_order > ?) ORDER BY number"
        )
        with storage_errors(self._place):
            rows = list(self._db.query(query, [search, after_number, after_order]))
        return tuple(_trial(row) for row in rows)

    def trial_counts(self, search: str) -> tuple[int, int]:
        counts = "count(*) AS made, coalesce(sum(finish_order >= 0), 0) AS ended"
        query = f"SELECT {counts} FROM told_trials WHERE search = ?"
        with storage_errors(self._place):
            row = next(iter(self._db.query(query, [search])))
        return row["made"], row["ended"]

    def _searches(self, rest: str, *values: object) -> tuple[SearchInfo, ...]:
        with storage_errors(self._place):
            rows = list(self._db.query(f"SELECT * FROM searches_served {rest}", list(values)))
        return tuple(_search(row) for row in rows)


def _search(row: Mapping[str, Any]) -> SearchInfo:
    config = SearchConfig.from_json(row["config"])
    found = SearchInfo(search_name(config.name), config, SearchState(row["state"]), row["create_time"])
    return replace(found, reason=row["reason"], result_json=row["result_json"])


def _trial(row: Mapping[str, Any]) -> ToldTrial:
    return ToldTrial(
        number=row["number"],
        architecture=row["architecture"],
        worker=row["worker"],
        state=TrialState(row["state"]),
        order=row["finish_order"],
        accuracy=row["accuracy"],
        latencies=tuple(ToldLatency(**one) for one in json.loads(row["latencies"] or "[]")),
        macs=row["macs"],
        params=row["params"],
        fault=row["fault"],
        finish_time=row["finish_time"],
    )
