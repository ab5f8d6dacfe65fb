from dataclasses import replace

import pytest
from sqlite_utils import Database

from fleetnas_latency.ageing import anchor_drifts, drift_std_ms, superseding
from fleetnas_latency.fitting import good_networks
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.repository import Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro

OLD = Target("rk3288", "ncnn", "1.0")
SPACE = NASBenchMacro()


def _observation(number: int, anchor_ms: float, target: Target = OLD) -> Observation:
    return Observation(
        measurement_id=f"{target.runtime_version}/{number}",
        target=target,
        kind=ObservationKind.NETWORK,
        key=f"nas-bench-macro/32/{number % 3},0,0,0,0,0,0,0",
        latency=Estimate(2.0 * anchor_ms, 1.99 * anchor_ms, 2.01 * anchor_ms),
        verdict=Verdict.OK,
        created_time=float(number),
        space="nas-bench-macro",
        ratio=Estimate(2.0, 1.99, 2.01),
        anchor_key="a",
        anchor_ms=anchor_ms,
    )


def test_drift_is_measured_against_the_latest_anchors() -> None:
    anchors = [10.0, 10.0, 10.0, 12.0, 12.0, 12.1, 11.9, 12.0]
    drifts = anchor_drifts([_observation(index, one) for index, one in enumerate(anchors)])
    assert drifts["1.0/0"] == pytest.approx(1.0 - 10.0 / 12.0)
    assert max(drifts[f"1.0/{index}"] for index in range(3, 8)) < 0.01


def test_observation_without_an_anchor_has_no_drift() -> None:
    assert anchor_drifts([replace(_observation(0, 10.0), ratio=None)]) == {}


def test_small_drift_counts_as_none_and_a_large_one_in_proportion() -> None:
    assert drift_std_ms(10.0, 0.02) == 0.0
    assert drift_std_ms(10.0, 0.4) == pytest.approx(2.0 * drift_std_ms(10.0, 0.2)) == pytest.approx(1.0)


def test_networks_measured_at_another_speed_weigh_less() -> None:
    table = LatencyTable(Database(memory=True))
    table.put_observations([_observation(0, 10.0), *(_observation(index, 12.0) for index in range(1, 6))])
    _, values, deviations = good_networks(table, OLD, SPACE)
    assert values == pytest.approx([24.0] * 6)  # all at the usual speed
    assert deviations[0] > 3.0 * max(deviations[1:])


def test_newer_runtime_version_on_the_same_device_supersedes() -> None:
    table = LatencyTable(Database(memory=True))
    newer = replace(OLD, runtime_version="2.0")
    elsewhere = replace(OLD, device_model="pixel3", runtime_version="3.0")
    table.put_observations(
        [_observation(1, 10.0), _observation(2, 10.0, newer), _observation(9, 9.0, elsewhere)]
    )
    assert superseding(table, OLD) == newer
    assert superseding(table, newer) is None
