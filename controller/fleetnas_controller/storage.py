"""Opening SQLite files, and what goes wrong with them, in our words."""

__all__ = ["open_database", "storage_errors"]

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_search_spaces.errors import DataLossError, ResourceExhaustedError, UnavailableError

if TYPE_CHECKING:
    from sqlite_utils import Database

_BUSY_MS = 10_000


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raises what SQLite and the file system say about ``path`` as FleetNAS errors of one line.

    Raises:
        ResourceExhaustedError: The disk is full; what was stored before stays.
        DataLossError: The file is no database, or a damaged one.
        UnavailableError: Another process holds the database for longer than ten seconds.
    """
    full = f"no space left for '{path}': free some and go on with --resume; what was stored is kept."
    damaged = f"'{path}' is damaged or no FleetNAS store; restore it from a copy or use another folder."
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise ResourceExhaustedError(full) from error
        if "locked" in text or "busy" in text:
            raise UnavailableError(
                f"'{path}' is held by another process; try again when it is done."
            ) from error
        raise DataLossError(f"{damaged} ({text})") from error
    except sqlite3.DatabaseError as error:
        raise DataLossError(f"{damaged} ({error})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhaustedError(full) from error
        raise


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
