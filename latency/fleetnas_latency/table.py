"""The latency table in SQLite."""

__all__ = ["LatencyTable", "open_table", "open_table_to_read"]

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from fleetnas_latency import rows
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.migrations import MIGRATIONS
from fleetnas_latency.repository import EntrySource, LatencyEntry, Observation
from fleetnas_latency.sqlite_files import migrate, store_errors, use_write_ahead_log, writing
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FleetNASError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    near_names,
)

_PLACE = "the latency table"


class LatencyTable:
    """``repository.LatencyRepository`` over one connection; each thread opens its own."""

    def __init__(self, db: Database) -> None:
        """Brings the tables of ``db`` up to date.

        Raises:
            DataLossError: ``db`` was written by a newer FleetNAS or is damaged.
        """
        self._db = db
        migrate(db, MIGRATIONS, _PLACE)

    def close(self) -> None:
        self._db.close()

    def put_observation(self, observation: Observation) -> bool:
        """``put_observations`` of one; whether it was new."""
        return self.put_observations([observation]) == 1

    def put_observations(self, observations: Sequence[Observation]) -> int:
        with store_errors(_PLACE), writing(self._db):
            return sum(self._put(one) for one in observations)

    def observations(self, target: Target, space: str = "") -> tuple[Observation, ...]:
        found = self._select(
            "SELECT * FROM latency_observations WHERE target_key = ? AND (space = ? OR ? = '')"
            " ORDER BY created_time, measurement_id",
            (target.key, space, space),
        )
        with rows.damage():
            return tuple(rows.to_observation(row, target) for row in found)

    def targets(self) -> tuple[Target, ...]:
        with rows.damage():
            return tuple(
                rows.to_target(row) for row in self._select("SELECT * FROM targets ORDER BY target_key")
            )

    def put_entries(self, target: Target, space: str, entries: Sequence[LatencyEntry]) -> None:
        with store_errors(_PLACE), writing(self._db):
            self._put_target(target)
            self._db.execute(
                "DELETE FROM latency_entries WHERE target_key = ? AND space = ?", (target.key, space)
            )
            for entry in entries:
                self._insert("latency_entries", rows.from_entry(entry, target, space))

    def coverage(self, target: Target, space: str) -> tuple[LatencyEntry, ...]:
        found = self._select(
            "SELECT * FROM latency_entries WHERE target_key = ? AND space = ? ORDER BY entry_key",
            (target.key, space),
        )
        with rows.damage():
            return tuple(rows.to_entry(row) for row in found)

    def query(self, target: Target, key: str) -> LatencyEntry:
        measured = self._select(
            "SELECT * FROM latency_observations WHERE target_key = ? AND entry_key = ? AND verdict = ?"
            " ORDER BY created_time",
            (target.key, key, Verdict.OK),
        )
        if measured:
            with rows.damage():
                return _combined([rows.to_observation(row, target) for row in measured])
        # Several spaces may have learned the same block; the best known one answers.
        learned = self._select(
            "SELECT * FROM latency_entries WHERE target_key = ? AND entry_key = ? ORDER BY std_ms LIMIT 1",
            (target.key, key),
        )
        if learned:
            with rows.damage():
                return rows.to_entry(learned[0])
        raise NotFoundError(self._not_found(target, key))

    def _put(self, observation: Observation) -> bool:
        stored = self._select(
            "SELECT * FROM latency_observations WHERE measurement_id = ?", (observation.measurement_id,)
        )
        row = rows.from_observation(observation)
        if stored:
            if stored[0] != row:
                raise AlreadyExistsError(
                    f"measurement '{observation.measurement_id}' is in the latency table with another content: "
                    "give the new one an id of its own"
                )
            return False
        self._put_target(observation.target)
        self._insert("latency_observations", row)
        return True

    def _put_target(self, target: Target) -> None:
        if not self._select("SELECT 1 FROM targets WHERE target_key = ?", (target.key,)):
            self._insert("targets", rows.from_target(target))

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def _select(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with store_errors(_PLACE):
            return list(self._db.query(sql, values))

    def _not_found(self, target: Target, key: str) -> str:
        found = self._select(
            "SELECT entry_key FROM latency_entries WHERE target_key = ? UNION"
            " SELECT entry_key FROM latency_observations WHERE target_key = ? AND verdict = ?",
            (target.key, target.key, Verdict.OK),
        )
        known = [row["entry_key"] for row in found]
        if not known:
            targets = near_names(target.key, [one.key for one in self.targets()])
            return (
                f"no latency is known on target '{target.key}' ({targets}). "
                "Measure some networks on it: fleetnas latency profile"
            )
        return (
            f"no latency of '{key}' on '{target.key}' ({len(known)} others are known there; "
            f"{near_names(key, known)}). Measure it: fleetnas latency profile"
        )


def open_table(path: Path) -> LatencyTable:
    """Opens a table, or makes a new one where there is no file.

    Raises:
        As ``sqlite_files.store_errors``, and DataLossError for the file of a newer FleetNAS.
    """
    db: Database | None = None
    try:
        with store_errors(f"'{path}'"):
            db = Database(path)
            use_write_ahead_log(db)
            db.execute("PRAGMA foreign_keys = ON")
        return LatencyTable(db)
    except FleetNASError:
        if db is not None:
            db.close()
        raise


def open_table_to_read(path: Path) -> LatencyTable:
    """``open_table``, and where nothing can be written, not allowed or no room, a table that only answers.

    Raises:
        As ``open_table``; also when another process left writes beside the file that only a writer could take in.
    """
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if not writable:
        return _open_unchanging(path)
    try:
        return open_table(path)
    except ResourceExhaustedError:
        # SQLite keeps an index of its log beside the file, also for those who only read.
        return _open_unchanging(path)


def _open_unchanging(path: Path) -> LatencyTable:
    """SQLite makes no file beside one that is said never to change; so it would miss what a log beside it holds."""
    log = path.with_name(path.name + "-wal")
    if log.is_file() and log.stat().st_size:
        raise UnavailableError(
            f"'{path}' has writes in '{log.name}' that cannot be taken in where nothing may be written: copy both "
            "files to a folder of your own and give that table."
        )
    with store_errors(f"'{path}'"):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    return LatencyTable(Database(connection))


def _combined(observations: Sequence[Observation]) -> LatencyEntry:
    """Observations of one key, averaged by precision; the deviation is not below their own disagreement."""
    weights = [1.0 / max(one.latency.std, 1e-3 * one.latency.value) ** 2 for one in observations]
    total = sum(weights)
    values = [one.latency.value for one in observations]
    mean_ms = sum(weight * value for weight, value in zip(weights, values, strict=True)) / total
    scatter = sum(weight * (value - mean_ms) ** 2 for weight, value in zip(weights, values, strict=True))
    inflation = max(1.0, scatter / (len(values) - 1)) if len(values) > 1 else 1.0
    sources = {one.source for one in observations}
    return LatencyEntry(
        key=observations[0].key,
        mean_ms=mean_ms,
        std_ms=(inflation / total) ** 0.5,
        source=EntrySource.MEASURED if EntrySource.MEASURED in sources else min(sources),
        count=len(values),
        updated_time=max(one.created_time for one in observations),
        space=observations[0].space,
        operator=observations[0].operator,
    )
