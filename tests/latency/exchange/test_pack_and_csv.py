import json

import pytest

from fleetnas_latency.exchange.csv_files import read_csv, write_csv
from fleetnas_latency.exchange.pack import Pack, read_pack, write_pack
from fleetnas_latency.exchange.records import FileRecord, Unit, observations_of
from fleetnas_latency.repository import EntrySource, LatencyEntry, ObservationKind
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Operator, OperatorKind

SPACE = NASBenchMacro()
TARGET = Target("pixel3", "ncnn", "1.0")
CONV = Operator(OperatorKind.CONV, 3, 32, 32, kernel_px=3, padding_px=1)
RECORDS = (
    FileRecord.of_operator(CONV, 0.25),
    FileRecord("nas-bench-macro/32/2,0,0,0,0,0,0,0", 4.5, space="nas-bench-macro", half_width=0.01),
)
PACK = Pack(
    TARGET,
    observations_of(RECORDS, TARGET, 100.0),
    (LatencyEntry("overhead", 0.3, 0.1, EntrySource.LEARNED, 5, 50.0, "nas-bench-macro"),),
    origin="somebody's phone",
    licence="MIT",
)


def test_pack_comes_back_as_it_was() -> None:
    found = read_pack(write_pack(PACK))
    assert found == PACK


def test_pack_that_was_changed_is_refused() -> None:
    with pytest.raises(DataLossError, match="changed or cut"):
        read_pack(write_pack(PACK).replace("4.5", "4.6"))


def test_pack_of_a_newer_version_is_refused() -> None:
    document = json.loads(write_pack(PACK)) | {"version": 2}
    with pytest.raises(DataLossError, match="upgrade"):
        read_pack(json.dumps(document))


@pytest.mark.parametrize("text", ["[1]", "{}", "conv,1\t3", '{"format": "other"}'])
def test_other_file_is_no_pack(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no pack"):
        read_pack(text)


def test_csv_comes_back_as_it_was() -> None:
    assert read_csv(write_csv(RECORDS), SPACE) == RECORDS


def test_table_of_networks_is_read_with_the_unit_of_its_column() -> None:
    (record,) = read_csv("arch,latency_us\n20000000,4500\n", SPACE)
    assert record.key == RECORDS[1].key
    assert record.latency_ms == pytest.approx(4.5)


def test_networks_of_one_function_share_a_key() -> None:
    found = read_csv("arch,latency\n20010000,4.5\n20001000,4.4\n", SPACE, Unit.MILLISECONDS)
    assert found[0].key == found[1].key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch,latency\n20000000,4\n", "give --unit"),
        ("net,latency_ms\n20000000,4\n", "'arch' or 'key'"),
        ("arch,latency_ms\n20000000,fast\n", "line 2"),
        ("key,latency_ms\nsomething,4\n", "no space and no operator"),
    ],
)
def test_csv_that_lacks_something_says_what(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        read_csv(text, SPACE)


def test_record_has_the_same_id_whenever_it_is_imported() -> None:
    early, late = (observations_of(RECORDS, TARGET, now) for now in (1.0, 2.0))
    assert [one.measurement_id for one in early] == [one.measurement_id for one in late]
    assert [one.kind for one in early] == [ObservationKind.OPERATOR, ObservationKind.NETWORK]
    assert {one.source for one in early} == {EntrySource.IMPORTED}


@pytest.mark.parametrize("value", [0.0, -1.0, 5e-324, 1e300, float("inf"), float("nan")])
def test_latency_that_no_network_has_is_refused(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match="must lie between"):
        observations_of([FileRecord("k", value)], TARGET, 1.0)


def test_block_that_is_hardly_known_can_be_imported_as_it_was_exported() -> None:
    (found,) = observations_of([FileRecord("k", 3e-8, half_width=3.0)], TARGET, 1.0)
    assert found.latency.high == pytest.approx(1.2e-7)


@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_half_width_that_is_no_share_is_refused(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match="half width"):
        observations_of([FileRecord("k", 1.0, half_width=value)], TARGET, 1.0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("network,nas-bench-macro/32/9,9,9,9,9,9,9,9,nas-bench-macro,1.0", "line 2"),
        ("network,nonsense,nas-bench-macro,1.0", "no key of an architecture"),
        ("network,nas-bench-macro/32/2,0,0,0,0,0,0,0,no-such-space,1.0", "no-such-space"),
        ("operator,paddle/x", "line 2 has ''"),
        ("operator,,,1.0", "names nothing"),
    ],
)
def test_row_that_names_no_network_or_is_cut_is_refused_with_its_line(row: str, said: str) -> None:
    cells = row.split(",")
    if len(cells) > 5:  # a key has commas of its own
        row = f'{cells[0]},"{",".join(cells[1:-2])}",{cells[-2]},{cells[-1]}'
    with pytest.raises(InvalidArgumentError, match=said):
        read_csv(f"kind,key,space,latency_ms\n{row}\n", SPACE)


def test_mark_that_spreadsheets_begin_with_is_passed_over() -> None:
    (found,) = read_csv("\ufeffarch,latency_ms\n22222222,4.5\n", SPACE)
    assert found.latency_ms == 4.5


def test_quote_that_never_closes_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidArgumentError, match="quote that never closes"):
        read_csv('arch,latency_ms\n"22222222,4.5\n' + "x" * 200_000, SPACE)


def test_file_without_a_row_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no row"):
        read_csv("arch,latency_ms\n", SPACE)
