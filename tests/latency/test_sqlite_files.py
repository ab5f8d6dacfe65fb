import errno
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from fleetnas_latency.sqlite_files import migrate, store_errors, use_write_ahead_log, writing
from fleetnas_search_spaces.errors import (
    DataLossError,
    DeadlineExceededError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)


def _changes(*names: str) -> Migrations:
    made = Migrations("test")
    for name in names:
        made(name=name)(lambda db, name=name: db.table(name).create({"id": int}))
    return made


def test_missing_changes_are_applied_once(tmp_path: Path) -> None:
    db = Database(tmp_path / "store.db")
    migrate(db, _changes("a"), "the store")
    migrate(db, _changes("a", "b"), "the store")
    assert {"a", "b"} <= set(db.table_names())


def test_store_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    db = Database(tmp_path / "store.db")
    migrate(db, _changes("a", "of_tomorrow"), "the store")
    with pytest.raises(
        DataLossError, match=r"the store was written by a newer FleetNAS \(change 'of_tomorrow'\)"
    ):
        migrate(db, _changes("a", "b"), "the store")
    assert "b" not in db.table_names()


def test_full_disk_is_told_from_other_troubles() -> None:
    with (
        pytest.raises(ResourceExhaustedError, match="no space left for the store"),
        store_errors("the store"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="Bad file"), store_errors("the store"):
        raise OSError(errno.EBADF, "Bad file descriptor")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EROFS, PermissionDeniedError),
        (errno.EACCES, PermissionDeniedError),
        (errno.ENOTDIR, UnavailableError),
        (errno.ENAMETOOLONG, UnavailableError),
    ],
)
def test_trouble_of_the_file_system_names_the_file(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="'runs/a'"), store_errors("the store"):
        raise OSError(number, "no", "runs/a")


def test_errors_of_ours_pass_though_python_counts_them_to_the_systems() -> None:
    with pytest.raises(DeadlineExceededError), store_errors("the store"):
        raise DeadlineExceededError("the controller is silent.")


def test_full_database_is_a_full_disk(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "store.db")
    db.execute("PRAGMA max_page_count = 2")
    db.execute("CREATE TABLE a (x)")
    with pytest.raises(ResourceExhaustedError), store_errors("the store"):
        db.execute("INSERT INTO a VALUES (zeroblob(100000))")


def test_locked_read_only_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    holder = sqlite3.connect(path)
    holder.execute("CREATE TABLE a (x)")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError, match="another process"), store_errors("the store"):
        sqlite3.connect(path, timeout=0.0).execute("INSERT INTO a VALUES (1)")
    holder.rollback()
    with pytest.raises(PermissionDeniedError), store_errors("the store"):
        sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("INSERT INTO a VALUES (1)")
    with pytest.raises(UnavailableError, match="cannot be opened"), store_errors("the store"):
        sqlite3.connect(tmp_path / "nowhere" / "store.db")
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(DataLossError, match="damaged"), store_errors("the store"):
        sqlite3.connect(tmp_path / "text.db").execute("SELECT * FROM a")


def test_many_processes_may_make_one_store_at_once(tmp_path: Path) -> None:
    begin = threading.Barrier(6)

    def make(_: int) -> int:
        begin.wait()
        with closing(Database(tmp_path / "store.db")) as db:
            use_write_ahead_log(db)
            migrate(db, _changes("a", "b"), "the store")
            with writing(db):
                count = next(db.query("SELECT count(*) AS count FROM a"))["count"]
                db.execute("INSERT INTO a VALUES (?)", (count,))
            return int(count)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(make, range(6))) == [0, 1, 2, 3, 4, 5]


def test_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    db = Database(tmp_path / "store.db")
    db.execute("CREATE TABLE a (x)")
    with suppress(KeyError), writing(db):
        db.execute("INSERT INTO a VALUES (1)")
        raise KeyError
    assert not list(db.query("SELECT * FROM a"))


def test_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    db = Database(tmp_path / "other.db")
    db.table("recipes").create({"name": str})
    with pytest.raises(DataLossError, match="something else .*'recipes'"):
        migrate(db, _changes("a"), "the store")
    assert db.table_names() == ["recipes"]
