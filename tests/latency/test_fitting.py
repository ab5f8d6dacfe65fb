from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from sqlite_utils import Database

from fleetnas_latency.fitting import fit, keys_of_no_network, learned_entries
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.repository import Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro

TARGET = Target("rk3288", "ncnn", "1.0")
SPACE = NASBenchMacro()


@pytest.fixture
def table() -> Iterator[LatencyTable]:
    made = LatencyTable(Database(memory=True))
    yield made
    made.close()


def _true_ms(architecture: Architecture) -> float:
    return 1.0 + macs(SPACE.graph(architecture)) / 1e7


def _networks(count: int) -> list[Architecture]:
    rng = Random(3)
    return [SPACE.canonical(SPACE.sample(rng)) for _ in range(count)]


def _observation(
    index: int,
    architecture: Architecture,
    weather: float = 1.0,
    verdict: Verdict = Verdict.OK,
    anchored: bool = False,
) -> Observation:
    value = _true_ms(architecture) * weather
    ratio = _true_ms(architecture) / 4.0
    return Observation(
        measurement_id=f"m{index}",
        target=TARGET,
        kind=ObservationKind.NETWORK,
        key=architecture.key,
        latency=Estimate(value, 0.99 * value, 1.01 * value),
        verdict=verdict,
        created_time=float(index),
        space=SPACE.name,
        ratio=Estimate(ratio, 0.99 * ratio, 1.01 * ratio) if anchored else None,
        anchor_key="anchor" if anchored else "",
        anchor_ms=4.0 * weather if anchored else 0.0,
    )


def test_model_learns_every_good_network_of_the_table(table: LatencyTable) -> None:
    networks = _networks(30)
    table.put_observations([_observation(index, one) for index, one in enumerate(networks)])
    found = fit(table, TARGET, SPACE).predict(networks).mean_ms
    assert found == pytest.approx([_true_ms(one) for one in networks], rel=0.02)


def test_measurement_that_is_not_ok_teaches_nothing(table: LatencyTable) -> None:
    networks = _networks(10)
    good = [_observation(index, one) for index, one in enumerate(networks)]
    bad = [_observation(100, networks[0], 50.0, Verdict.CONTENDED)]
    table.put_observations(good)
    before = fit(table, TARGET, SPACE).predict(networks).mean_ms
    table.put_observations(bad)
    assert np.array_equal(fit(table, TARGET, SPACE).predict(networks).mean_ms, before)


def test_anchor_takes_slow_drift_out_of_the_model(table: LatencyTable) -> None:
    networks = _networks(41)
    weather = np.linspace(0.7, 1.3, 41)
    table.put_observations(
        [_observation(i, one, weather[i], anchored=True) for i, one in enumerate(networks)]
    )
    found = fit(table, TARGET, SPACE).predict(networks).mean_ms
    assert found == pytest.approx([_true_ms(one) for one in networks], rel=0.02)


def test_model_of_an_empty_table_has_learned_nothing(table: LatencyTable) -> None:
    with pytest.raises(FailedPreconditionError, match="measure some networks"):
        fit(table, TARGET, SPACE).predict(_networks(1))


def test_learned_entries_can_be_stored_and_queried(table: LatencyTable) -> None:
    table.put_observations([_observation(index, one) for index, one in enumerate(_networks(20))])
    entries = learned_entries(fit(table, TARGET, SPACE), now=7.0)
    table.put_entries(TARGET, SPACE.name, entries)
    assert sorted(entries, key=lambda one: one.key) == list(table.coverage(TARGET, SPACE.name))
    assert table.query(TARGET, "overhead").updated_time == 7.0


def test_key_of_no_network_of_the_space_does_not_end_predictions(table: LatencyTable) -> None:
    networks = _networks(10)
    table.put_observations([_observation(index, one) for index, one in enumerate(networks)])
    before = fit(table, TARGET, SPACE).network_count
    for key in ("nonsense", "nas-bench-macro/32/9,9,9,9,9,9,9,9", "nas-bench-macro/32/1"):
        table.put_observation(replace(_observation(0, networks[0]), measurement_id=key, key=key))
    assert fit(table, TARGET, SPACE).network_count == before
    assert keys_of_no_network(table, TARGET, SPACE) == (
        "nas-bench-macro/32/1",
        "nas-bench-macro/32/9,9,9,9,9,9,9,9",
        "nonsense",
    )
