"""SQLite files of all stores: what goes wrong with them, in our words, and how tables are brought up to date."""

__all__ = ["migrate", "store_errors", "use_write_ahead_log", "writing"]

import errno
import sqlite3
import time
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

_PATIENCE_S = 10.0
_POLL_S = 0.02
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNUSABLE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EIO,
)
_KNOWN_NUMBERS = (*_FULL, *_FORBIDDEN, *_UNUSABLE)

_OURS = "_sqlite_migrations"
"""A table that every store of ours has; several stores may share a file."""


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Raises what SQLite and the file system say about ``place`` as FleetNAS errors of one line.

    Raises:
        ResourceExhaustedError: The disk is full; what was stored before stays.
        UnavailableError: Another process holds the file, or it cannot be opened or made.
        PermissionDeniedError: It may not be written.
        DataLossError: It is no database, or a damaged one.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, place) from error
    except OSError as error:
        if isinstance(error, FleetNASError) or error.errno not in _KNOWN_NUMBERS:
            raise
        raise _translated_file(error, place) from error


def migrate(db: Database, migrations: Migrations, place: str) -> None:
    """Applies what is missing.

    Raises:
        DataLossError: A newer FleetNAS wrote the file; it is left as it is.
        As ``store_errors``.
    """
    with store_errors(place):
        tables = db.table_names()
        foreign = [one for one in tables if not one.startswith("sqlite_")]
        if foreign and _OURS not in tables:
            raise DataLossError(
                f"{place} is a database of something else (it has the table '{foreign[0]}'): name another file."
            )
        with closing(Database(memory=True)) as empty:
            known = {one.name for one in migrations.pending(empty)}
        newer = [one.name for one in migrations.applied(db) if one.name not in known]
        if newer:
            raise DataLossError(
                f"{place} was written by a newer FleetNAS (change '{newer[-1]}'): upgrade FleetNAS to use it."
            )
        if migrations.pending(db):
            # Asked again inside: another process may have made the change while this one waited.
            with writing(db):
                migrations.apply(db)


def use_write_ahead_log(db: Database) -> None:
    """Lets others read while one writes. SQLite itself does not wait while another process switches a new file."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            db.enable_wal()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(_POLL_S)
        else:
            return


@contextmanager
def writing(db: Database) -> Iterator[None]:
    """One transaction that waits for its turn at its beginning.

    One that begins with reading is refused at its first write, without any wait, when another process has written
    in between.
    """
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.conn.execute("COMMIT")
    except BaseException:
        db.conn.rollback()
        raise


def _translated(error: sqlite3.Error, place: str) -> FleetNASError:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return _full(place, error)
    if _is_busy(error):
        return UnavailableError(f"{place} is held by another process ({text}): try again when it is done.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return PermissionDeniedError(f"{place} may not be written ({text}): check its permissions.")
    if code == sqlite3.SQLITE_CANTOPEN:
        return UnavailableError(f"{place} cannot be opened ({text}): check the folder and its permissions.")
    return DataLossError(
        f"{place} is damaged or no FleetNAS store ({text}): put it aside, or restore a copy of it."
    )


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _translated_file(error: OSError, place: str) -> FleetNASError:
    if error.errno in _FULL:
        return _full(place, error)
    named = place if error.filename is None else f"'{error.filename}'"
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(f"{named} may not be written ({error.strerror}): check its permissions.")
    return UnavailableError(
        f"{named} cannot be opened ({error.strerror}): check the folder and its permissions."
    )


def _full(place: str, error: Exception) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        f"no space left for {place} ({error}): free some and go on; what was stored is kept."
    )
