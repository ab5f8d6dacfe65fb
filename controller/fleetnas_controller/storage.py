"""Opening the run's store, and what goes wrong with files of a run."""

__all__ = ["open_database", "storage_errors"]

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_latency.sqlite_files import store_errors

if TYPE_CHECKING:
    from sqlite_utils import Database

_BUSY_MS = 10_000


def storage_errors(path: Path) -> AbstractContextManager[None]:
    """As ``store_errors``, for a file or folder."""
    return store_errors(f"'{path}'")


def open_database(path: Path) -> "Database":
    """Opens or creates a store for use by one thread: write-ahead log, durable commits, patient locks.

    Raises:
        As ``storage_errors``.
    """
    from sqlite_utils import Database

    with storage_errors(path):
        connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000)
        database = Database(connection)
        database.enable_wal()
        database.execute("pragma synchronous = full")
        return database
