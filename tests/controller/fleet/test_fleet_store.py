"""What can be wrong with the file."""

from pathlib import Path

import pytest
from sqlite_utils import Database

from fleetnas_controller.fleet_store import open_fleet_store
from fleetnas_search_spaces.errors import DataLossError, ResourceExhaustedError


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"these are not the bytes of a database" * 200)
    with pytest.raises(DataLossError, match=r"store\.db' is damaged"):
        open_fleet_store(tmp_path / "store.db")


def test_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_fleet_store(tmp_path / "store.db").close()
    database = Database(tmp_path / "store.db")
    row = next(iter(database.table("_sqlite_migrations").rows))
    database.table("_sqlite_migrations").insert(row | {"id": 99, "name": "9999_of_the_future"})
    database.close()
    with pytest.raises(DataLossError, match="newer FleetNAS"):
        open_fleet_store(tmp_path / "store.db")


def test_full_disk_is_said_and_nothing_is_kept(tmp_path: Path) -> None:
    store = open_fleet_store(tmp_path / "store.db")
    store._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ResourceExhaustedError, match="no space left"), store.transaction():  # noqa: PT012
        for token in range(5_000):
            store.put_lease("devices/a", token, "measurements/m", 1.0)
    assert store.last_fencing_token("devices/a") == 0
    store.close()
