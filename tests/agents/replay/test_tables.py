"""Which devices a published table holds, and what they answer."""

import gzip
from pathlib import Path

import pytest

from fleetnas_agents.drivers.replay.tables import DATA_VARIABLE, read_tables
from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError, NotFoundError


def published(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / name, "wt") if name.endswith(".gz") else (folder / name).open("w") as file:
        file.write(text)


def test_single_column_is_a_device_named_after_its_file(tmp_path: Path) -> None:
    published(tmp_path, "cpu.csv", "arch,latency_ms\n12,3.5\n")
    (table,) = read_tables(str(tmp_path / "cpu.csv"))
    assert (table.device_model, table.lookup("1,2")) == ("cpu", 3.5)


def test_every_other_column_is_a_device(tmp_path: Path) -> None:
    published(tmp_path, "t.csv.gz", "arch,pixel,board\n12,3.5,7.0\n")
    tables = read_tables(str(tmp_path / "t.csv.gz"))
    assert [(one.device_model, one.lookup("1,2")) for one in tables] == [("pixel", 3.5), ("board", 7.0)]


def test_devices_can_be_chosen_by_column(tmp_path: Path) -> None:
    published(tmp_path, "t.csv", "arch,pixel,board\n12,3.5,7.0\n")
    assert [one.device_model for one in read_tables(str(tmp_path / "t.csv"), ["board"])] == ["board"]


def test_unknown_device_is_named_with_near_ones(tmp_path: Path) -> None:
    published(tmp_path, "t.csv", "arch,pixel3,board\n12,3.5,7.0\n")
    with pytest.raises(NotFoundError, match=r"no device 'pixel4'.*pixel3"):
        read_tables(str(tmp_path / "t.csv"), ["pixel4"])


def test_published_table_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    published(tmp_path, "fbnet/fbnet_latency_ms.csv.gz", "arch,pixel3\n78,3.5\n")
    assert read_tables("fbnet")[0].lookup("7,8") == 3.5


def test_published_table_that_is_not_there_says_where_it_was_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(NotFoundError, match=DATA_VARIABLE):
        read_tables("fbnet")


def test_index_of_nas_bench_201_becomes_its_edges(tmp_path: Path) -> None:
    published(tmp_path, "accuracy.csv.gz", "index,edges\n0,421211\n")
    published(tmp_path, "latency_ms.csv.gz", "index,pixel3\n0,3.5\n")
    assert read_tables(str(tmp_path / "latency_ms.csv.gz"))[0].lookup("4,2,1,2,1,1") == 3.5


def test_parts_of_a_network_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    published(
        tmp_path, "proxyless_pixel1_lut/pixel1_lut.csv", "key,op,mean_ms\nstem,Conv,4.0\nhead,Conv,1.5\n"
    )
    (table,) = read_tables("proxyless_pixel1_lut")
    assert (table.device_model, table.lookup("stem,head,head")) == ("pixel1", 7.0)
    with pytest.raises(MeasureError, match="'tail'"):
        table.lookup("stem,tail")


def test_latency_of_zero_is_no_latency(tmp_path: Path) -> None:
    published(tmp_path, "t.csv", "arch,pixel\n12,0.0\n13,1.0\n")
    (table,) = read_tables(str(tmp_path / "t.csv"))
    with pytest.raises(MeasureError, match="no architecture '1,2'") as caught:
        table.lookup("1,2")
    assert caught.value.kind is FaultKind.MODEL


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InvalidArgumentError),
        ("arch,latency_ms\n", InvalidArgumentError),
        ("arch,latency_ms\n12,fast\n", InvalidArgumentError),
        ("arch,latency_ms\n12\n", InvalidArgumentError),
        ("network,milliseconds\n12,3\n", InvalidArgumentError),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, error: type[FleetNASError]) -> None:
    published(tmp_path, "t.csv", text)
    with pytest.raises(error, match="arch"):
        read_tables(str(tmp_path / "t.csv"))


def test_table_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"absent\.csv"):
        read_tables("absent.csv")
