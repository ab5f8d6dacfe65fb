"""SQLite files of all stores: what goes wrong with them, in our words, and how tables are brought up to date."""

__all__ = ["migrate", "store_errors"]

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from fleetnas_search_spaces.errors import (
    DataLossError,
    FleetNASError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Raises what SQLite and the file system say about ``place`` as FleetNAS errors of one line.

    Raises:
        ResourceExhaustedError: The disk is full; what was stored before stays.
        UnavailableError: Another process holds the file, or it cannot be opened.
        PermissionDeniedError: It may not be written.
        DataLossError: It is no database, or a damaged one.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, place) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(place, error) from error
        raise


def migrate(db: Database, migrations: Migrations, place: str) -> None:
    """Applies what is missing.

    Raises:
        DataLossError: A newer FleetNAS wrote the file; it is left as it is.
        As ``store_errors``.
    """
    with store_errors(place):
        with closing(Database(memory=True)) as empty:
            known = {one.name for one in migrations.pending(empty)}
        newer = [one.name for one in migrations.applied(db) if one.name not in known]
        if newer:
            raise DataLossError(
                f"{place} was written by a newer FleetNAS (change '{newer[-1]}'): upgrade FleetNAS to use it."
            )
        migrations.apply(db)


def _translated(error: sqlite3.Error, place: str) -> FleetNASError:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return _full(place, error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnavailableError(f"{place} is held by another process ({text}): try again when it is done.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return PermissionDeniedError(f"{place} may not be written ({text}): check its permissions.")
    if code == sqlite3.SQLITE_CANTOPEN:
        return UnavailableError(f"{place} cannot be opened ({text}): check the folder and its permissions.")
    return DataLossError(
        f"{place} is damaged or no FleetNAS store ({text}): put it aside, or restore a copy of it."
    )


def _full(place: str, error: Exception) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        f"no space left for {place} ({error}): free some and go on; what was stored is kept."
    )
