"""Trials in SQLite: one transaction for each step, so that any instruction may be the last."""

__all__ = ["SqliteTrials", "read_trials"]

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.trials import DeviceReading, SearchRecord, Trial, TrialPhase, TrialState
from fleetnas_latency.statistics import Estimate
from fleetnas_search_spaces.errors import AlreadyExistsError, DataLossError, NotFoundError
from fleetnas_training.staged_training import Curve

if TYPE_CHECKING:
    from sqlite_utils import Database


class SqliteTrials:
    """Trials in SQLite. One instance a thread."""

    def __init__(self, database: "Database") -> None:
        from fleetnas_controller.trial_migrations import trial_migrations
        from fleetnas_latency.sqlite_files import migrate

        self._db = database
        migrate(database, trial_migrations, "the store of this run")

    def create_search(self, record: SearchRecord, earlier: Sequence[Trial] = ()) -> None:
        with self._db.atomic():
            if self._db.table("searches").count_where("name = ?", [record.config.name]):
                raise AlreadyExistsError(f"a search '{record.config.name}' exists already.")
            self._db.table("searches").insert(
                {
                    "name": record.config.name,
                    "config": record.config.to_json(),
                    "create_time": record.create_time,
                    "wall_s": record.wall_s,
                    "result": json.dumps(dict(record.result)),
                }
            )
            self._db.table("trials").insert_all(_to_row(record.config.name, one) for one in earlier)

    def search(self, name: str) -> SearchRecord:
        for row in self._db.table("searches").rows_where("name = ?", [name]):
            return SearchRecord(
                SearchConfig.from_json(row["config"]),
                row["create_time"],
                row["wall_s"],
                json.loads(row["result"]),
            )
        raise NotFoundError(f"no search '{name}' in this store.")

    def add_wall_s(self, name: str, seconds: float) -> None:
        with self._db.atomic():
            self._db.execute("update searches set wall_s = wall_s + ? where name = ?", [seconds, name])

    def finish_search(self, name: str, result: Mapping[str, Any]) -> None:
        with self._db.atomic():
            self._db.table("searches").update(name, {"result": json.dumps(dict(result))})

    def propose(self, search: str, trial: Trial) -> None:
        with self._db.atomic():
            if self._row(search, trial.number) is not None:
                raise AlreadyExistsError(f"trial {trial.number} of search '{search}' exists already.")
            self._db.table("trials").insert(_to_row(search, trial))

    def finish(self, search: str, trial: Trial) -> Trial:
        with self._db.atomic():
            row = self._row(search, trial.number)
            if row is not None and row["state"] != TrialState.PROPOSED:
                return _from_row(row)
            last = self._db.execute(
                "select coalesce(max(finish_order), -1) from trials where search = ?", [search]
            )
            ended = replace(trial, order=last.fetchone()[0] + 1)
            self._db.table("trials").upsert(_to_row(search, ended), pk=("search", "number"))
        return ended

    def trials(self, search: str) -> Sequence[Trial]:
        rows = self._db.table("trials").rows_where("search = ?", [search], order_by="number")
        return tuple(_from_row(row) for row in rows)

    def _row(self, search: str, number: int) -> dict[str, Any] | None:
        rows = self._db.table("trials").rows_where("search = ? and number = ?", [search, number])
        return next(iter(rows), None)


def read_trials(path: Path, search: str) -> tuple[Trial, ...]:
    """The trials in another process's store, by number, without disturbing it; none before it has any.

    Raises:
        As ``storage_errors``.
    """
    if not path.is_file():
        return ()
    with (
        storage_errors(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        db.row_factory = sqlite3.Row
        try:
            rows = db.execute("select * from trials where search = ? order by number", [search]).fetchall()
        except sqlite3.OperationalError as error:
            # The owner is still making it: without tables yet, or locked while it sets up its log.
            if "no such table" in str(error) or "locked" in str(error):
                return ()
            raise
    return tuple(_from_row(dict(row)) for row in rows)


def _to_row(search: str, trial: Trial) -> dict[str, Any]:
    return {
        "search": search,
        "number": trial.number,
        "phase": trial.phase,
        "architecture": trial.architecture,
        "state": trial.state,
        "finish_order": trial.order,
        "macs": trial.macs,
        "params": trial.params,
        "model_bytes": trial.model_bytes,
        "memory_bytes": trial.memory_bytes,
        "accuracy": trial.accuracy,
        "accuracy_source": trial.accuracy_source,
        "curve": "" if trial.curve is None else json.dumps(asdict(trial.curve)),
        "readings": json.dumps({device: asdict(one) for device, one in trial.readings.items()}),
        "predicted_ms": json.dumps({device: list(pair) for device, pair in trial.predicted_ms.items()}),
        "fault": trial.fault,
        "finish_time": trial.finish_time,
    }


def _from_row(row: Mapping[str, Any]) -> Trial:
    """Raises DataLossError when a row is not one that ``_to_row`` made."""
    try:
        return _read_row(row)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise DataLossError(
            f"a stored trial is unreadable ({type(error).__name__}: {error}): restore a copy of the store, or begin "
            "another search."
        ) from error


def _read_row(row: Mapping[str, Any]) -> Trial:
    return Trial(
        number=row["number"],
        phase=TrialPhase(row["phase"]),
        architecture=row["architecture"],
        state=TrialState(row["state"]),
        order=int(row["finish_order"]),
        macs=row["macs"],
        params=row["params"],
        model_bytes=row.get("model_bytes", 0),  # a store that is only read may be of an older version
        memory_bytes=row.get("memory_bytes", 0),
        accuracy=None if row["accuracy"] is None else float(row["accuracy"]),
        accuracy_source=row["accuracy_source"],
        curve=_curve(row.get("curve", "")),
        readings={device: _reading(one) for device, one in json.loads(row["readings"]).items()},
        predicted_ms={device: (pair[0], pair[1]) for device, pair in json.loads(row["predicted_ms"]).items()},
        fault=row["fault"],
        finish_time=row["finish_time"],
    )


def _curve(text: str) -> Curve | None:
    if not text:
        return None
    values = json.loads(text)
    points = tuple((int(epochs), float(percent)) for epochs, percent in values["points"])
    return Curve(**{**values, "points": points})


def _reading(values: Mapping[str, Any]) -> DeviceReading:
    estimates = {
        name: Estimate(**values[name]) if values[name] is not None else None
        for name in ("latency_ms", "anchor_ms", "ratio")
    }
    return DeviceReading(**{**values, **estimates})
