"""The latency table in SQLite."""

__all__ = ["LatencyTable", "open_table"]

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from fleetnas_latency import rows
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.migrations import MIGRATIONS, unknown_changes
from fleetnas_latency.repository import EntrySource, LatencyEntry, Observation
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    DataLossError,
    FleetNASError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    near_names,
)


class LatencyTable:
    """``repository.LatencyRepository`` over one connection; each thread opens its own."""

    def __init__(self, db: Database) -> None:
        """Brings the tables of ``db`` up to date.

        Raises:
            DataLossError: ``db`` was written by a newer FleetNAS or is damaged.
        """
        self._db = db
        with self._errors():
            newer = unknown_changes(db)
            if newer:
                raise DataLossError(
                    f"the latency table has the change '{newer[0]}' of a newer FleetNAS: upgrade FleetNAS"
                )
            MIGRATIONS.apply(db)

    def close(self) -> None:
        self._db.close()

    def put_observation(self, observation: Observation) -> bool:
        """``put_observations`` of one; whether it was new."""
        return self.put_observations([observation]) == 1

    def put_observations(self, observations: Sequence[Observation]) -> int:
        with self._errors(), self._db.atomic():
            return sum(self._put(one) for one in observations)

    def observations(self, target: Target, space: str = "") -> tuple[Observation, ...]:
        found = self._select(
            "SELECT * FROM latency_observations WHERE target_key = ? AND (space = ? OR ? = '')"
            " ORDER BY created_time, measurement_id",
            (target.key, space, space),
        )
        return tuple(rows.to_observation(row, target) for row in found)

    def targets(self) -> tuple[Target, ...]:
        return tuple(rows.to_target(row) for row in self._select("SELECT * FROM targets ORDER BY target_key"))

    def put_entries(self, target: Target, space: str, entries: Sequence[LatencyEntry]) -> None:
        with self._errors(), self._db.atomic():
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
        return tuple(rows.to_entry(row) for row in found)

    def query(self, target: Target, key: str) -> LatencyEntry:
        measured = self._select(
            "SELECT * FROM latency_observations WHERE target_key = ? AND entry_key = ? AND verdict = ?"
            " ORDER BY created_time",
            (target.key, key, Verdict.OK),
        )
        if measured:
            return _combined([rows.to_observation(row, target) for row in measured])
        # Several spaces may have learned the same block; the best known one answers.
        learned = self._select(
            "SELECT * FROM latency_entries WHERE target_key = ? AND entry_key = ? ORDER BY std_ms LIMIT 1",
            (target.key, key),
        )
        if learned:
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
        with self._errors():
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

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, "the latency table") from error


def open_table(path: Path) -> LatencyTable:
    """Opens a table, or makes a new one where there is no file.

    Raises:
        InvalidArgumentError: The folder does not exist or the path is a folder.
        PermissionDeniedError: The file may not be read or written.
        DataLossError: The file is damaged, no database, or of a newer FleetNAS.
        ResourceExhaustedError: The disk is full.
    """
    db: Database | None = None
    try:
        db = Database(path)
        db.enable_wal()
        db.execute("PRAGMA foreign_keys = ON")
        return LatencyTable(db)
    except (sqlite3.Error, FleetNASError) as error:
        if db is not None:
            db.close()
        if isinstance(error, sqlite3.Error):
            raise _translated(error, f"'{path}'") from error
        raise


def _translated(error: sqlite3.Error, what: str) -> FleetNASError:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return ResourceExhaustedError(f"{what} cannot grow ({text}): free some disk space and try again")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnavailableError(f"{what} is being written by another process ({text}): try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return PermissionDeniedError(f"{what} may not be written ({text}): check the file's permissions")
    if code == sqlite3.SQLITE_CANTOPEN:
        return InvalidArgumentError(f"{what} cannot be opened ({text}): check the folder and its permissions")
    return DataLossError(f"{what} is no usable latency table ({text}): restore a copy or start a new file")


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
