from random import Random

import numpy as np
from sqlite_utils import Database

from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.repository import Observation, ObservationKind
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import block_costs
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Operator

SPACE = NASBenchMacro()
OLD, NEW = Target("old", "ncnn", "1.0"), Target("new", "ncnn", "1.0")


class _Phone:
    """Every block costs what its kind of chip makes of it; chips of one kind differ in speed only."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._block_ms: dict[Operator, float] = {}
        self._rng = np.random.default_rng(0)

    def ms(self, one: Architecture) -> float:
        graph = SPACE.graph(one)
        total = 0.4
        for block, cost in zip(graph.blocks, block_costs(graph), strict=True):
            if block not in self._block_ms:
                plain = cost.macs / 4e6 + cost.bytes_moved / 1e7
                self._block_ms[block] = plain * self._rng.lognormal(0.0, 0.5)
            total += self._block_ms[block]
        return self._speed * total


def _networks(count: int, seed: int) -> list[Architecture]:
    rng = Random(seed)
    return sorted({SPACE.canonical(SPACE.sample(rng)) for _ in range(3 * count)})[:count]


def _put(table: LatencyTable, target: Target, networks: list[Architecture], phone: _Phone) -> None:
    for one in networks:
        value = phone.ms(one)
        table.put_observation(
            Observation(
                measurement_id=f"{target.key} {one.key}",
                target=target,
                kind=ObservationKind.NETWORK,
                key=one.key,
                latency=Estimate(value, 0.995 * value, 1.005 * value),
                verdict=Verdict.OK,
                created_time=1.0,
                space=SPACE.name,
            )
        )


def _median_error(teaching_count: int) -> float:
    table = LatencyTable(Database(memory=True))
    old, new = _Phone(1.0), _Phone(3.0)
    networks = _networks(250, 1)
    for one in networks:  # both meet the blocks in one order
        old.ms(one), new.ms(one)
    _put(table, OLD, networks[:teaching_count], old)
    _put(table, NEW, networks[120:126], new)
    asked = networks[130:]
    found = few_shot_model(table, NEW, SPACE, networks[:60]).predict(asked).mean_ms
    return float(np.median([abs(value / new.ms(one) - 1.0) for value, one in zip(found, asked, strict=True)]))


def test_well_measured_target_teaches_a_new_one_whatever_its_speed() -> None:
    assert _median_error(teaching_count=100) < 0.01


def test_target_with_too_few_networks_teaches_nothing() -> None:
    assert _median_error(teaching_count=10) > 0.02


def test_blocks_first_met_in_a_prediction_are_believed_from_their_size() -> None:
    table = LatencyTable(Database(memory=True))
    small = [SPACE.canonical(SPACE.parse(code)) for code in ("00000000", "10000000", "11010000")]
    _put(table, NEW, small, _Phone(1.0))
    model = few_shot_model(table, NEW, SPACE, small)
    before = model.predict(small).mean_ms
    found = model.predict([SPACE.reference])
    assert found.mean_ms[0] > before.max()
    assert len(model.requests()) > 0
