"""Tables of latencies as people bring them."""

import gzip
from pathlib import Path

import pytest

from fleetnas_agents.drivers.replay.tables import read_tables
from fleetnas_search_spaces.errors import InvalidArgumentError


@pytest.mark.parametrize("latency", ["-1", "0", "nan", "inf", "", "fast"])
def test_latency_that_no_device_has_is_refused(tmp_path: Path, latency: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"arch,latency_ms\n12,3.5\n21,{latency}\n", encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=r"table\.csv' is no latency table"):
        read_tables(str(table))


@pytest.mark.parametrize(
    "content",
    [
        b"arch;latency_ms\n12;3\n",
        b"\0" * 200_000,
        b"\xff\xfe",
        b"arch,latency_ms\n12\n",
        b"arch,latency_ms\n",
    ],
)
def test_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match="table"):
        read_tables(str(table))


@pytest.mark.parametrize("garble", [lambda whole: whole[:30], lambda whole: whole[:12] + b"\xff" * 20])
def test_damaged_compressed_table_is_refused(tmp_path: Path, garble: object) -> None:
    assert callable(garble)
    table = tmp_path / "table.csv.gz"
    table.write_bytes(garble(gzip.compress(b"arch,latency_ms\n12,3.5\n21,4.5\n")))
    with pytest.raises(InvalidArgumentError, match=r"table\.csv\.gz' is no latency table"):
        read_tables(str(table))


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
def test_table_of_a_spreadsheet_is_read(tmp_path: Path, begin: bytes) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(begin + b"arch,latency_ms\r\n12,3.5\r\n")
    assert read_tables(str(table))[0].lookup("1,2") == 3.5


def test_network_with_two_latencies_is_refused_and_the_same_row_twice_is_one(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("arch,latency_ms\n12,3.5\n12,3.5\n", encoding="utf-8")
    assert dict(read_tables(str(table))[0].latency_ms) == {"1,2": 3.5}
    table.write_text("arch,latency_ms\n12,3.5\n12,4.5\n", encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match="line 3"):
        read_tables(str(table))
