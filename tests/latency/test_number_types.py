"""fp32 and int8 of one runtime on one device are two targets, in every way that latencies travel."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from sqlite_utils import Database

from fleetnas_latency.ageing import superseding
from fleetnas_latency.exchange.pack import Pack, read_pack, write_pack
from fleetnas_latency.exchange.records import FileRecord, observations_of
from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.fitting import fit
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Operator, OperatorKind, Precision

SPACE = NASBenchMacro()
FP32 = Target("phone", "onnxruntime", "1.32.0")
INT8 = replace(FP32, precision=Precision.INT8)
CONV = Operator(OperatorKind.CONV, 8, 8, 16, kernel_px=3, padding_px=1)


def _networks(count: int) -> list[Architecture]:
    rng = Random(0)
    return sorted({SPACE.canonical(SPACE.sample(rng)) for _ in range(2 * count)})[:count]


def _filled(fp32_count: int, int8_count: int) -> LatencyTable:
    """Latencies in fp32 that grow with the MACs and ones in int8 that fall."""
    table = LatencyTable(Database(memory=True))
    for target, count, sign in ((FP32, fp32_count, 1.0), (INT8, int8_count, -1.0)):
        records = [
            FileRecord(one.key, 10.0 + sign * macs(SPACE.graph(one)) / 2e7, space=SPACE.name, half_width=0.01)
            for one in _networks(count)
        ]
        table.put_observations(
            observations_of([*records, FileRecord.of_operator(CONV, 5.0 + sign)], target, 1.0)
        )
    return table


def test_queries_answer_from_their_own_type() -> None:
    table = _filled(5, 5)
    assert table.query(FP32, operator_key(CONV)).mean_ms == pytest.approx(6.0)
    assert table.query(INT8, operator_key(CONV)).mean_ms == pytest.approx(4.0)


def test_model_of_one_type_is_the_same_whatever_the_other_measured() -> None:
    asked = _networks(60)
    alone, beside = (fit(_filled(20, count), FP32, SPACE).predict(asked).mean_ms for count in (0, 60))
    np.testing.assert_array_equal(alone, beside)


def test_one_type_teaches_the_other_nothing() -> None:
    asked = _networks(60)
    alone, beside = (
        few_shot_model(_filled(5, count), FP32, SPACE, asked).predict(asked).mean_ms for count in (0, 60)
    )
    np.testing.assert_array_equal(alone, beside)


def test_later_measurements_of_one_type_leave_the_other_fresh() -> None:
    table = _filled(5, 0)
    newer = replace(INT8, runtime_version="1.33.0")
    table.put_observations(observations_of([FileRecord.of_operator(CONV, 1.0)], newer, 9.0))
    assert superseding(table, FP32) is None


def test_pack_keeps_the_type() -> None:
    assert read_pack(write_pack(Pack(INT8))).target == INT8
    assert INT8.key != FP32.key
