"""What is told of networks in turns."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from fleetnas_controller.batch_report import batch_document, batch_rows, difference_rows
from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, MeasurementState
from fleetnas_controller.user_network import UserNetwork
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, in_one, judge
from fleetnas_latency.target import Target


def _raw(latency_ms: float, seed: int) -> RawMeasurement:
    rng = Random(seed)
    runs = tuple(latency_ms * rng.lognormvariate(0.0, 0.01) for _ in range(300))
    return RawMeasurement(candidate=RunSeries(runs, runs, tuple(index // 10 for index in range(300))))


@pytest.fixture
def document(tmp_path: Path) -> Any:
    """Makes the document of networks with these latencies."""

    def make(*latencies_ms: float, resolution: float | None = None) -> dict[str, Any]:
        facts = (("anchor_change", "+0.0123"), ("drift_repeats", "1"), ("precision", "int8"))
        results = [judge(_raw(one, seed), Plan(), Evidence(facts)) for seed, one in enumerate(latencies_ms)]
        request = MeasurementRequest("m", (), "0.onnx")
        record = MeasurementRecord("measurements/m", request, MeasurementState.DONE, 0.0, 0.0)
        networks = []
        for number in range(len(latencies_ms)):
            path = tmp_path / f"{number}.onnx"
            path.write_bytes(b"net")
            networks.append(UserNetwork(path.name, ((path.name, path),)))
        from dataclasses import replace

        record = replace(record, result=in_one(results), target=Target("board", "onnxruntime", "1"))
        return batch_document(record, networks, resolution)

    return make


def test_difference_is_that_to_the_first_with_its_interval(document: Any) -> None:
    found = document(2.0, 2.2, 1.0)
    slower, faster = found["differences"]
    assert slower["value"] == pytest.approx(0.1, abs=0.01)
    assert faster["value"] == pytest.approx(-0.5, abs=0.01)
    assert slower["low"] < 0.1 < slower["high"]
    assert [one[2] for one in difference_rows(found)[1:]] == ["slower", "faster"]


def test_equal_networks_are_not_told_apart(document: Any) -> None:
    found = document(2.0, 2.0)
    assert not found["differences"][0]["resolved"]
    assert difference_rows(found)[1][2] == "not told apart"


def test_difference_finer_than_the_device_resolves_is_not_claimed(document: Any) -> None:
    found = document(2.0, 2.1, resolution=0.08)
    assert not found["differences"][0]["resolved"]
    assert "none beyond 8.0%" in difference_rows(found)[1][2]


def test_each_network_has_its_row_and_its_own_precision(document: Any) -> None:
    found = document(2.0, 2.2)
    assert [row[0].rpartition("/")[2] for row in batch_rows(found)[1:]] == ["0.onnx", "1.onnx"]
    assert {one["target"]["precision"] for one in found["networks"]} == {"int8"}


def test_drift_of_the_anchor_is_told(document: Any) -> None:
    found = document(2.0, 2.2)
    assert (found["anchor_change"], found["drift_repeats"]) == (0.0123, 1)
