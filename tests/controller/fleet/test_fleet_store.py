"""What can be wrong with the file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from fleetnas_controller.fleet_store import open_fleet_store
from fleetnas_controller.jobs import Fault, FaultKind, JoinToken, Limits, Selector
from fleetnas_search_spaces.errors import DataLossError, ResourceExhaustedError

GOLDEN = Path(__file__).parents[2] / "golden" / "fleet_store_v1.db"


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


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A store as the first version left it; ``tests/golden/make_fleet_store_v1.py`` says what it holds."""
    return Path(shutil.copy(GOLDEN, tmp_path / "golden.db"))


def test_measurements_of_the_first_schema_stay_readable(golden: Path) -> None:
    store = open_fleet_store(golden)
    records = {record.name.partition("/")[2]: record for _, record in store.measurements(0, 10)}
    store.close()
    assert {name: str(one.state) for name, one in records.items()} == {
        "done": "done", "failed": "failed", "leased": "leased", "queued": "queued",
    }  # fmt: skip
    done = records["done"]
    assert (done.device, done.fencing_token, done.attempt_count, done.crash_count) == ("devices/a", 2, 2, 1)
    assert done.result is not None
    assert done.target is not None
    assert (done.result.estimate.value, done.result.digest) == (1.0, (1.0,))
    assert dict(done.result.evidence) == {"governor": "performance"}
    assert (done.target.stand_in, done.fault) == ("replay", Fault(FaultKind.CRASH, "signal 11"))
    assert records["failed"].fault == Fault(FaultKind.MODEL, "no such operator")
    request = records["queued"].request
    assert (request.priority, request.limits, request.labels) == (
        3,
        Limits(60.0, 10.0, 30.0),
        (("search", "golden"),),
    )
    assert request.selector == Selector(model="golden board", labels=(("rack", "2"),))


def test_devices_and_tokens_of_the_first_schema_stay_readable(golden: Path) -> None:
    store = open_fleet_store(golden)
    (device,) = store.devices()
    assert (device.name, device.model, device.labels) == ("devices/a", "golden board", (("rack", "2"),))
    assert store.device_by_credential("credential-sha256") == "devices/a"
    assert store.join_token("token-sha256") == JoinToken("", "a", 2, 5_000_000_000.0)
    assert store.last_fencing_token("devices/a") == 3
    store.close()


def test_fleet_of_the_first_schema_goes_on(
    golden: Path, make_fleet_world: Callable[..., Any], tmp_path: Path
) -> None:
    store = open_fleet_store(golden)
    world = make_fleet_world(tmp_path, store)
    assert world.fleet.devices.get("devices/a").holder == "measurements/leased"
    assert world.fleet.queue_position("measurements/queued") == 1
    store.close()
