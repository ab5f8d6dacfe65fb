"""Where the fleet keeps devices, join tokens, measurements and leases."""

__all__ = ["FleetStore", "SqliteFleetStore", "open_fleet_store"]

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlite_utils import Database

from fleetnas_controller.fleet_migrations import MIGRATIONS
from fleetnas_controller.jobs import (
    Device,
    Fault,
    FaultKind,
    Grant,
    JoinToken,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    Role,
)
from fleetnas_controller.wire import pack, unpack
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.sqlite_files import migrate, store_errors
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import DataLossError, FleetNASError, ResourceExhaustedError


class FleetStore(Protocol):
    """Keeps dataclasses; decides nothing. ``tests/contracts`` has the test every implementation passes.

    Every call may raise ``ResourceExhaustedError`` (disk full), ``UnavailableError`` (locked) or
    ``DataLossError`` (corrupt); inside a transaction nothing of it is then kept.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside happen, or none."""
        ...

    def put_join_token(self, secret_sha256: str, token: JoinToken) -> None: ...
    def join_token(self, secret_sha256: str) -> JoinToken | None:
        """With an empty ``secret``: that is not stored."""
        ...

    def purge_join_tokens(self, before: float) -> None:
        """Forgets those that expired before ``before``, seconds since 1970, and enrolments by them."""
        ...

    def put_enrolment(self, attempt_sha256: str, device: str, expire_time: float) -> None:
        """Remembers which device came of an attempt to join."""
        ...

    def enrolled(self, attempt_sha256: str) -> str | None:
        """That device's name."""
        ...

    def put_device(self, device: Device) -> None:
        """Stores a changed device that ``enrol_device`` stored before."""
        ...

    def enrol_device(self, device: Device, credential_sha256: str) -> None:
        """Stores a new device, or a known one with a new credential."""
        ...

    def devices(self) -> tuple[Device, ...]: ...
    def device_by_credential(self, credential_sha256: str) -> str | None: ...
    def remove_device(self, name: str) -> None:
        """With the memory of how it was enrolled."""
        ...

    def put_grant(self, certificate_sha256: str, grant: Grant) -> None: ...
    def grant(self, certificate_sha256: str) -> Grant | None: ...
    def grants(self) -> tuple[Grant, ...]:
        """By name."""
        ...

    def remove_grants(self, name: str) -> None:
        """Every certificate of that name; none is no error."""
        ...

    def put_measurement(self, record: MeasurementRecord) -> None:
        """Stores a new measurement or the new state of a known one; ``queue_position`` is not stored."""
        ...

    def measurement(self, name: str) -> MeasurementRecord | None: ...
    def unfinished_measurements(self) -> tuple[MeasurementRecord, ...]: ...
    def measurements(self, after_number: int, limit: int) -> tuple[tuple[int, MeasurementRecord], ...]:
        """In order of creation, each with its number, from the first number above ``after_number`` on."""
        ...

    def put_lease(self, device: str, fencing_token: int, measurement: str, lease_time: float) -> None: ...
    def leased_measurement(self, device: str, fencing_token: int) -> str | None: ...
    def last_fencing_token(self, device: str) -> int:
        """0 when the device never held a lease; survives the removal of the device."""
        ...


def open_fleet_store(path: Path) -> "SqliteFleetStore":
    """Opens or makes the file.

    Raises:
        DataLossError: It is no SQLite file, or a newer FleetNAS wrote it.
    """
    with store_errors(f"'{path}'"):
        database = Database(path)
        database.enable_wal()
        # A commit survives the death of the process without an fsync; only a power cut may lose the last ones.
        database.execute("PRAGMA synchronous = NORMAL")
    return SqliteFleetStore(database, f"'{path}'")


class SqliteFleetStore:
    """A ``FleetStore`` in SQLite. One thread only, the one that made ``database``."""

    def __init__(self, database: Database, place: str = "memory") -> None:
        self._db = database
        self._place = place
        self.failure: FleetNASError | None = None
        """Why something could not be stored, where trying again does not help by itself; the first reason stays."""
        migrate(database, MIGRATIONS, place)

    def close(self) -> None:
        self._db.close()

    @property
    def database(self) -> Database:
        """For the other repositories in the same file, which then share its transactions."""
        return self._db

    @contextmanager
    def transaction(self) -> Iterator[None]:
        connection = self._db.conn
        if connection.in_transaction:
            yield  # part of the one around it
            return
        try:
            with store_errors(self._place):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except (ResourceExhaustedError, DataLossError) as error:
            self.failure = self.failure or error
            raise

    def put_join_token(self, secret_sha256: str, token: JoinToken) -> None:
        self._put(
            "join_tokens",
            "secret_sha256",
            {
                "secret_sha256": secret_sha256,
                "device_id": token.device_id,
                "use_count": token.use_count,
                "expire_time": token.expire_time,
            },
        )

    def join_token(self, secret_sha256: str) -> JoinToken | None:
        row = self._row("SELECT * FROM join_tokens WHERE secret_sha256 = ?", secret_sha256)
        return JoinToken("", row["device_id"], row["use_count"], row["expire_time"]) if row else None

    def purge_join_tokens(self, before: float) -> None:
        with self.transaction():
            self._db.conn.execute("DELETE FROM join_tokens WHERE expire_time < ?", [before])
            self._db.conn.execute("DELETE FROM enrolments WHERE expire_time < ?", [before])

    def put_enrolment(self, attempt_sha256: str, device: str, expire_time: float) -> None:
        row = {"attempt_sha256": attempt_sha256, "device": device, "expire_time": expire_time}
        self._put("enrolments", "attempt_sha256", row)

    def enrolled(self, attempt_sha256: str) -> str | None:
        row = self._row("SELECT device FROM enrolments WHERE attempt_sha256 = ?", attempt_sha256)
        return row["device"] if row else None

    def put_device(self, device: Device) -> None:
        with self.transaction():
            self._db.conn.execute("UPDATE devices SET device = ? WHERE name = ?", [pack(device), device.name])

    def enrol_device(self, device: Device, credential_sha256: str) -> None:
        self._put(
            "devices",
            "name",
            {
                "name": device.name,
                "credential_sha256": credential_sha256,
                "create_time": device.create_time,
                "device": pack(device),
            },
        )

    def devices(self) -> tuple[Device, ...]:
        return tuple(
            unpack(row["device"], Device) for row in self._rows("SELECT device FROM devices ORDER BY name")
        )

    def device_by_credential(self, credential_sha256: str) -> str | None:
        row = self._row("SELECT name FROM devices WHERE credential_sha256 = ?", credential_sha256)
        return str(row["name"]) if row else None

    def remove_device(self, name: str) -> None:
        with self.transaction():
            self._db.conn.execute("DELETE FROM devices WHERE name = ?", [name])
            self._db.conn.execute("DELETE FROM enrolments WHERE device = ?", [name])

    def put_grant(self, certificate_sha256: str, grant: Grant) -> None:
        row = {
            "certificate_sha256": certificate_sha256,
            "name": grant.name,
            "role": grant.role.value,
            "create_time": grant.create_time,
            "expire_time": grant.expire_time,
        }
        self._put("grants", "certificate_sha256", row)

    def grant(self, certificate_sha256: str) -> Grant | None:
        row = self._row("SELECT * FROM grants WHERE certificate_sha256 = ?", certificate_sha256)
        return _grant_of(row) if row else None

    def grants(self) -> tuple[Grant, ...]:
        return tuple(map(_grant_of, self._rows("SELECT * FROM grants ORDER BY name, create_time")))

    def remove_grants(self, name: str) -> None:
        with self.transaction():
            self._db.conn.execute("DELETE FROM grants WHERE name = ?", [name])

    def put_measurement(self, record: MeasurementRecord) -> None:
        row = _to_row(record)
        updates = ", ".join(f"{column} = ?" for column in row)
        with self.transaction():
            changed = self._db.conn.execute(
                f"UPDATE measurements SET {updates} WHERE name = ?", [*row.values(), record.name]
            )
            if changed.rowcount == 0:
                # Stored once, for a request never changes and is the most of a row.
                request = {"priority": record.request.priority, "request": pack(record.request)}
                self._put("measurements", "name", row | request)

    def measurement(self, name: str) -> MeasurementRecord | None:
        row = self._row("SELECT * FROM measurements WHERE name = ?", name)
        return _from_row(row) if row else None

    def unfinished_measurements(self) -> tuple[MeasurementRecord, ...]:
        states = (MeasurementState.QUEUED.value, MeasurementState.LEASED.value)
        rows = self._rows("SELECT * FROM measurements WHERE state IN (?, ?) ORDER BY number", *states)
        return tuple(_from_row(row) for row in rows)

    def measurements(self, after_number: int, limit: int) -> tuple[tuple[int, MeasurementRecord], ...]:
        query = "SELECT * FROM measurements WHERE number > ? ORDER BY number LIMIT ?"
        return tuple((row["number"], _from_row(row)) for row in self._rows(query, after_number, limit))

    def put_lease(self, device: str, fencing_token: int, measurement: str, lease_time: float) -> None:
        with self.transaction():
            values = [device, fencing_token, measurement, lease_time]
            self._db.conn.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", values)

    def leased_measurement(self, device: str, fencing_token: int) -> str | None:
        query = "SELECT measurement FROM leases WHERE device = ? AND fencing_token = ?"
        row = self._row(query, device, fencing_token)
        return str(row["measurement"]) if row else None

    def last_fencing_token(self, device: str) -> int:
        row = self._row("SELECT max(fencing_token) AS last FROM leases WHERE device = ?", device)
        return int(row["last"] or 0) if row else 0

    def _put(self, table: str, key: str, row: Mapping[str, Any]) -> None:
        columns = ", ".join(row)
        updates = ", ".join(f"{column} = excluded.{column}" for column in row if column != key)
        marks = ", ".join("?" * len(row))
        with self.transaction():
            self._db.conn.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {updates}",
                list(row.values()),
            )

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with store_errors(self._place):
            cursor = self._db.conn.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def _row(self, query: str, *values: object) -> dict[str, Any] | None:
        return next(iter(self._rows(query, *values)), None)


def _grant_of(row: Mapping[str, Any]) -> Grant:
    return Grant(row["name"], Role(row["role"]), row["create_time"], row["expire_time"])


def _to_row(record: MeasurementRecord) -> dict[str, Any]:
    """What changes of a measurement, and its name."""
    return {
        "name": record.name,
        "state": record.state.value,
        "create_time": record.create_time,
        "update_time": record.update_time,
        "attempt_count": record.attempt_count,
        "crash_count": record.crash_count,
        "device": record.device,
        "fencing_token": record.fencing_token,
        "lease_time": record.lease_time,
        "expire_time": record.expire_time,
        "retry_time": record.retry_time,
        "fault_kind": record.fault.kind.value if record.fault else None,
        "fault_message": record.fault.message if record.fault else None,
        "fault_file": record.fault.file if record.fault else None,
        "target": pack(record.target) if record.target else None,
        "result": pack(record.result) if record.result else None,
    }


def _from_row(row: Mapping[str, Any]) -> MeasurementRecord:
    return MeasurementRecord(
        name=row["name"],
        request=unpack(row["request"], MeasurementRequest),
        state=MeasurementState(row["state"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        attempt_count=row["attempt_count"],
        crash_count=row["crash_count"],
        device=row["device"],
        fencing_token=row["fencing_token"],
        lease_time=row["lease_time"],
        expire_time=row["expire_time"],
        retry_time=row["retry_time"],
        target=unpack(row["target"], Target) if row["target"] else None,
        result=unpack(row["result"], Measurement) if row["result"] else None,
        fault=_fault_of(row) if row["fault_kind"] else None,
    )


def _fault_of(row: Mapping[str, Any]) -> Fault:
    return Fault(FaultKind(row["fault_kind"]), row["fault_message"], row["fault_file"] or "")
