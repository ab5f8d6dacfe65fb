import shutil
from pathlib import Path

import pytest
from sqlite_utils import Database
from tests.disks import fill, mounted

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.repository import EntrySource, Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import open_table, open_table_to_read
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import (
    DataLossError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from fleetnas_search_spaces.operators import Operator, OperatorKind

GOLDEN = Path(__file__).parents[1] / "golden" / "latency_table_v1.db"
TARGET = Target("golden board", "onnxruntime", "1.0", core_set="0", statistic="cpu_p10", stand_in="replay")
BLOCK = Operator(OperatorKind.INVERTED_RESIDUAL, 32, 64, 16, kernel_px=3, stride=2, padding_px=1, expansion=6)


def _observation(name: str) -> Observation:
    return Observation(
        name, TARGET, ObservationKind.NETWORK, "toy/32/1", Estimate(1.0, 0.9, 1.1), Verdict.OK, 1.0
    )


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN, tmp_path / "golden.db"))


def test_observations_of_the_first_schema_stay_readable(golden: Path) -> None:
    table = open_table(golden)
    network, block = table.observations(TARGET)
    table.close()
    assert network.key == "nas-bench-macro/32/2,2,2,2,2,2,2,2"
    assert (network.latency, network.ratio) == (Estimate(10.0, 9.9, 10.1), Estimate(2.5, 2.45, 2.55))
    assert (block.operator, block.verdict, block.source) == (BLOCK, Verdict.CONTENDED, EntrySource.IMPORTED)


def test_entries_of_the_first_schema_stay_readable(golden: Path) -> None:
    table = open_table(golden)
    found = table.query(TARGET, operator_key(BLOCK))
    table.close()
    assert (found.mean_ms, found.std_ms, found.operator) == (1.25, 0.1, BLOCK)


def test_stored_observations_survive_closing(tmp_path: Path) -> None:
    first = open_table(tmp_path / "latency.db")
    first.put_observation(_observation("m1"))
    first.close()
    second = open_table(tmp_path / "latency.db")
    assert second.put_observation(_observation("m1")) is False
    second.close()


def test_file_is_in_write_ahead_mode(tmp_path: Path) -> None:
    open_table(tmp_path / "latency.db").close()
    db = Database(tmp_path / "latency.db")
    assert db.journal_mode == "wal"
    db.close()


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latency.db"
    path.write_text("not a database at all, " * 100)
    with pytest.raises(DataLossError, match=r"latency\.db.*file is not a database"):
        open_table(path)


def test_truncated_file_is_data_loss(golden: Path) -> None:
    golden.write_bytes(golden.read_bytes()[:5000])
    with pytest.raises(DataLossError):
        open_table(golden).observations(TARGET)


def test_file_of_a_newer_version_asks_for_an_upgrade(golden: Path) -> None:
    db = Database(golden)
    with db.atomic():
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
            ("fleetnas_latency", "m999_future", "2030-01-01"),
        )
    db.close()
    with pytest.raises(DataLossError, match=r"m999_future.*upgrade"):
        open_table(golden)


def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="nowhere"):
        open_table(tmp_path / "nowhere" / "latency.db")


def test_full_disk_is_reported_and_stores_nothing(tmp_path: Path) -> None:
    table = open_table(tmp_path / "latency.db")
    pages = next(iter(table._db.execute("PRAGMA page_count").fetchone()))
    table._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ResourceExhaustedError, match="no space left"):
        table.put_observations([_observation(f"m{index}") for index in range(2000)])
    assert table.observations(TARGET) == ()
    table.close()


def test_file_locked_by_another_writer_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "latency.db"
    table, other = open_table(path), Database(path)
    table._db.execute("PRAGMA busy_timeout = 10")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="try again"):
        table.put_observation(_observation("m1"))
    other.execute("ROLLBACK")
    other.close()
    table.close()


@pytest.fixture
def unwritable(golden: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``os.access`` says of a read-only medium; the rights of files do not bind root."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    return golden


def test_table_on_a_read_only_medium_answers_and_leaves_nothing_beside_it(unwritable: Path) -> None:
    table = open_table_to_read(unwritable)
    assert len(table.observations(TARGET)) == 2
    with pytest.raises(PermissionDeniedError, match="may not be written"):
        table.put_observation(_observation("new"))
    table.close()
    assert list(unwritable.parent.iterdir()) == [unwritable]


def test_table_on_a_full_disk_answers(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with mounted(folder, size_kib=512):
        table = open_table(folder / "latency.db")
        table.put_observation(_observation("m1"))
        table.close()
        fill(folder)
        read = open_table_to_read(folder / "latency.db")
        assert [one.measurement_id for one in read.observations(TARGET)] == ["m1"]
        read.close()


def test_writes_that_a_read_only_medium_keeps_apart_are_not_passed_over(unwritable: Path) -> None:
    unwritable.with_name(unwritable.name + "-wal").write_bytes(b"log")
    with pytest.raises(UnavailableError, match="copy both"):
        open_table_to_read(unwritable)


@pytest.mark.parametrize(
    ("column", "value"), [("verdict", "'splendid'"), ("value_ms", "'much'"), ("operator_json", "'{'")]
)
def test_damaged_row_is_one_line_of_ours(golden: Path, column: str, value: str) -> None:
    table = open_table(golden)
    Database(golden).execute(f"UPDATE latency_observations SET {column} = {value}").connection.commit()
    with pytest.raises(DataLossError):
        table.observations(TARGET)
    table.close()
