from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from sqlite_utils import Database

from fleetnas_latency.exchange.onnx_metadata import read_onnx_latencies, with_onnx_latency
from fleetnas_latency.exchange.parquet_files import read_parquet, write_parquet
from fleetnas_latency.exchange.records import FileRecord, observations_of
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Operator, OperatorKind, Precision
from fleetnas_search_spaces.weights import WeightPool

SPACE = NASBenchMacro()
NETWORK = SPACE.reference
CONV = Operator(OperatorKind.CONV, 8, 16, 32, kernel_px=3, padding_px=1)
PHONE = Target("phone", "ncnn", "1.0")
RECORDS = (
    FileRecord(NETWORK.key, 12.345678901234567, space=SPACE.name, half_width=0.01),
    FileRecord.of_operator(CONV, 0.25),
    FileRecord("paddleslim/conv,1", 3.0),
)


def _file(folder: Path) -> bytes:
    """A network whose weights lie beside it."""
    pool = WeightPool(folder)
    return emit_onnx(SPACE.graph(NETWORK), pool, key=NETWORK.key, external=True).model_bytes


def _measured(*targets: Target) -> LatencyTable:
    table = LatencyTable(Database(memory=True))
    for number, target in enumerate(targets):
        table.put_observations(observations_of([replace(RECORDS[0], latency_ms=10.0 + number)], target, 1.0))
    return table


def test_parquet_gives_back_what_went_in() -> None:
    assert read_parquet(write_parquet(RECORDS), SPACE) == RECORDS


def test_parquet_of_others_is_read_by_its_columns() -> None:
    import io

    import pyarrow
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"arch": ["22222222"], "latency_us": [1500.0]}), sink)
    (found,) = read_parquet(sink.getvalue(), SPACE)
    assert (found.key, found.latency_ms) == (NETWORK.key, 1.5)
    numbers = io.BytesIO()
    parquet.write_table(pyarrow.table({"arch": [1], "latency_ms": [1.5]}), numbers)
    with pytest.raises(InvalidArgumentError, match="leading zeros"):
        read_parquet(numbers.getvalue(), SPACE)


def test_codes_that_a_data_frame_keeps_as_categories_are_text() -> None:
    import io

    import pyarrow
    from pyarrow import parquet

    codes = pyarrow.array(["22222222", "22222222"]).dictionary_encode()
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"arch": codes, "latency_ms": [1.5, 1.6]}), sink)
    assert [one.key for one in read_parquet(sink.getvalue(), SPACE)] == [NETWORK.key, NETWORK.key]


def test_cut_parquet_is_refused() -> None:
    whole = write_parquet(RECORDS)
    for content in (whole[:-10], b"", b"arch,latency_ms"):
        with pytest.raises(InvalidArgumentError, match="no whole Parquet"):
            read_parquet(content, SPACE)


def test_network_carries_its_latency_on_each_target(tmp_path: Path) -> None:
    other = replace(PHONE, precision=Precision.INT8)
    table, content = _measured(PHONE, other), _file(tmp_path)
    for target in (PHONE, other):
        content = with_onnx_latency(content, table, target)
    found = {pack.target: pack.observations for pack in read_onnx_latencies(content)}
    assert found == {target: table.observations(target) for target in (PHONE, other)}


def test_nothing_else_of_the_file_changes(tmp_path: Path) -> None:
    before = onnx.ModelProto.FromString(_file(tmp_path))
    after = onnx.ModelProto.FromString(with_onnx_latency(_file(tmp_path), _measured(PHONE), PHONE))
    assert after.graph == before.graph
    kept = [one for one in after.metadata_props if not one.key.startswith("fleetnas.latency/")]
    assert kept == list(before.metadata_props)


def test_newer_measurements_replace_older_ones(tmp_path: Path) -> None:
    table = _measured(PHONE)
    content = with_onnx_latency(_file(tmp_path), table, PHONE)
    table.put_observations(observations_of([replace(RECORDS[0], latency_ms=11.0)], PHONE, 2.0))
    (pack,) = read_onnx_latencies(with_onnx_latency(content, table, PHONE))
    assert [one.latency.value for one in pack.observations] == [10.0, 11.0]


def test_changed_latency_in_a_file_is_found_out(tmp_path: Path) -> None:
    content = with_onnx_latency(_file(tmp_path), _measured(PHONE), PHONE)
    with pytest.raises(DataLossError, match="changed or cut"):
        read_onnx_latencies(content.replace(b'"value_ms": 10.0', b'"value_ms": 90.0'))


def test_network_that_was_not_measured_gets_no_latency(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no good measurement"):
        with_onnx_latency(_file(tmp_path), _measured(), PHONE)


def test_files_that_cannot_carry_a_latency_are_refused(tmp_path: Path) -> None:
    foreign = onnx.ModelProto.FromString(_file(tmp_path))
    foreign.producer_name = "someone"
    with pytest.raises(InvalidArgumentError, match="only networks that FleetNAS wrote"):
        with_onnx_latency(foreign.SerializeToString(), _measured(PHONE), PHONE)
    with pytest.raises(InvalidArgumentError, match="holds no latency"):
        read_onnx_latencies(_file(tmp_path))
    for content in (b"", b"no model at all"):
        with pytest.raises(InvalidArgumentError, match="ONNX"):
            read_onnx_latencies(content)
