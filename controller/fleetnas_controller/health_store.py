"""Where the health of devices is kept: beside the fleet, in the same file and the same transactions."""

__all__ = ["HealthStore", "SqliteHealthStore"]

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from sqlite_utils import Database

from fleetnas_controller.health import Baseline, CheckOutcome, HealthCheck, Standing
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.wire import pack, unpack
from fleetnas_search_spaces.errors import DataLossError

_KEPT_COUNT = 1_000
"""Checks of a device that its history keeps: three weeks of one every half hour."""


class HealthStore(Protocol):
    """Keeps standings and checks; decides nothing. Errors as ``FleetStore``."""

    def put(self, standing: Standing, check: HealthCheck) -> None:
        """Stores a check and the standing after it, together."""
        ...

    def standings(self) -> tuple[Standing, ...]: ...

    def checks(self, device: str, before: int, limit: int) -> tuple[HealthCheck, ...]:
        """The latest first, from the number below ``before`` on; 0 for the very latest."""
        ...

    def forget(self, device: str) -> None:
        """A removed device leaves no history behind."""
        ...


class SqliteHealthStore:
    """A ``HealthStore`` in the fleet's database, whose migrations have been applied."""

    def __init__(self, database: Database, place: str = "memory") -> None:
        self._db = database
        self._place = Path(place)

    def put(self, standing: Standing, check: HealthCheck) -> None:
        with storage_errors(self._place), self._db.atomic():
            self._db.execute(
                "INSERT INTO health_standings VALUES (?, ?)"
                " ON CONFLICT (device) DO UPDATE SET standing = excluded.standing",
                [standing.device, json.dumps(asdict(standing))],
            )
            self._db.execute(
                "INSERT INTO health_checks VALUES (?, ?, ?, ?, ?, ?)",
                [check.device, check.number, check.check_time, check.outcome, check.reason, pack(check)],
            )
            self._db.execute(
                "DELETE FROM health_checks WHERE device = ? AND number <= ?",
                [check.device, check.number - _KEPT_COUNT],
            )

    def standings(self) -> tuple[Standing, ...]:
        with storage_errors(self._place):
            rows = list(self._db.query("SELECT standing FROM health_standings ORDER BY device"))
        return tuple(_standing(json.loads(row["standing"])) for row in rows)

    def checks(self, device: str, before: int, limit: int) -> tuple[HealthCheck, ...]:
        query = (
            "SELECT health_check FROM health_checks WHERE device = ? AND (number < ? OR ? = 0)"
            " ORDER BY number DESC LIMIT ?"
        )
        with storage_errors(self._place):
            rows = list(self._db.query(query, [device, before, before, limit]))
        return tuple(unpack(row["health_check"], HealthCheck) for row in rows)

    def forget(self, device: str) -> None:
        with storage_errors(self._place), self._db.atomic():
            for table in ("health_standings", "health_checks"):
                self._db.execute(f"DELETE FROM {table} WHERE device = ?", [device])


def _standing(values: Mapping[str, Any]) -> Standing:
    try:
        baselines = tuple(
            Baseline(one["target"], tuple(one["values_ms"]), tuple(one["digest"]))
            for one in values["baselines"]
        )
        outcome = CheckOutcome(values["last_outcome"]) if values["last_outcome"] else None
        return Standing(**{**values, "baselines": baselines, "last_outcome": outcome})
    except (KeyError, TypeError, ValueError) as error:
        raise DataLossError(
            f"the stored health of a device is unreadable ({error}). Restore the data folder from a copy."
        ) from error
