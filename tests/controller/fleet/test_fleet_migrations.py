"""Stores of earlier versions."""

from pathlib import Path

from sqlite_utils import Database

from fleetnas_controller.fleet_migrations import MIGRATIONS
from fleetnas_controller.fleet_store import SqliteFleetStore, open_fleet_store
from fleetnas_controller.health_store import SqliteHealthStore
from fleetnas_controller.jobs import Device, DeviceState
from fleetnas_controller.search_store import SqliteSearchStore
from fleetnas_controller.wire import pack

DEVICE = Device("devices/a", "board", "host", (), DeviceState.OFFLINE, 5.0)


def test_store_from_before_health_and_searches_keeps_its_devices(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    MIGRATIONS.apply(database, stop_before="0003_health")
    assert "health_checks" not in database.table_names()
    row = {"name": DEVICE.name, "credential_sha256": "c", "create_time": 5.0, "device": pack(DEVICE)}
    database.table("devices").insert(row)
    database.close()
    store: SqliteFleetStore = open_fleet_store(tmp_path / "store.db")
    assert store.devices() == (DEVICE,)
    assert SqliteHealthStore(store.database).checks(DEVICE.name, 0, 10) == ()
    assert SqliteSearchStore(store.database).searches("", 10) == ()
    store.close()
