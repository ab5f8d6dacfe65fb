import math
from random import Random

import numpy as np
import pytest

from fleetnas_controller.strategies.candidates import Candidates
from fleetnas_controller.strategies.latency_belief import (
    BELIEFS,
    BlockLatency,
    GaussianLatency,
    LatencyBelief,
)
from fleetnas_controller.strategies.pool_latency import pool_latency_ms
from fleetnas_controller.strategies.strategy import Problem, Reading
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.registry import space as space_of


def _latency_ms(space: SearchSpace, one: Architecture) -> float:
    return 0.1 + macs(space.graph(one)) / 40e6


@pytest.mark.parametrize("name", sorted(BELIEFS))
def test_every_belief_learns_latencies_and_knows_how_well(name: str) -> None:
    macro = space_of("nas-bench-macro")
    candidates = Candidates(Problem(macro))
    belief: LatencyBelief = BELIEFS[name](macro, candidates, 1.0)
    rng = Random(0)
    for one in rng.sample(candidates.members, 40):
        belief.observe(one, Reading(_latency_ms(macro, one), 0.001))
    asked = rng.sample(range(len(candidates)), 200)
    mean, std = belief.log_ms()
    true = np.log([_latency_ms(macro, candidates.members[column]) for column in asked])
    off = np.abs(mean[asked] - true)
    assert np.median(off) < 0.03
    assert np.mean(off < 3.0 * std[asked]) > 0.95


def test_before_any_reading_a_cap_is_as_likely_kept_as_broken(tiny_space: SearchSpace) -> None:
    for make in BELIEFS.values():
        mean, _ = make(tiny_space, Candidates(Problem(tiny_space)), 3.0).log_ms()
        assert mean.tolist() == [math.log(3.0)] * 64


def test_switching_goes_by_blocks_first_and_by_features_later() -> None:
    macro = space_of("nas-bench-macro")
    candidates = Candidates(Problem(macro))
    switching, blocks, features = (
        BELIEFS["switching"](macro, candidates, 1.0),
        BlockLatency(macro, candidates, 1.0),
        GaussianLatency(macro, candidates, 1.0),
    )
    for number, one in enumerate(Random(1).sample(candidates.members, 251)):
        for belief in (switching, blocks, features):
            belief.observe(one, Reading(_latency_ms(macro, one), 0.01))
        if number == 30:
            assert (switching.log_ms()[0] == blocks.log_ms()[0]).all()
    assert (switching.log_ms()[0] == features.log_ms()[0]).all()


def test_one_absurdly_fast_reading_does_not_bend_the_others(tiny_space: SearchSpace) -> None:
    candidates = Candidates(Problem(tiny_space))
    belief = GaussianLatency(tiny_space, candidates, 1.0)
    for one in candidates.members[::4]:
        belief.observe(one, Reading(1.0 + 0.3 * sum(one.choices)))
    median = np.median(belief.log_ms()[0])
    belief.observe(candidates.members[1], Reading(1e-6))  # 14 under it in logarithms
    assert belief.log_ms()[0].min() > median - 8.0


def test_an_absurd_reading_among_the_first_is_judged_again(tiny_space: SearchSpace) -> None:
    candidates = Candidates(Problem(tiny_space))
    belief = GaussianLatency(tiny_space, candidates, 1.0)
    belief.observe(candidates.members[0], Reading(1e-6))
    for one in candidates.members[1::8]:
        belief.observe(one, Reading(1.0 + 0.3 * sum(one.choices)))
    assert belief.log_ms()[0][0] > -3.0  # not -13.8


def test_the_whole_pool_is_predicted_as_network_by_network() -> None:
    macro = space_of("nas-bench-macro")
    members = Candidates(Problem(macro)).members
    model, rng = LatencyModel(macro), Random(2)
    measured = np.full(len(members), -1, dtype=np.int64)
    for place, column in enumerate(rng.sample(range(len(members)), 120)):
        true_ms = _latency_ms(macro, members[column]) * rng.gauss(1.0, 0.03)
        model.observe([members[column]], [true_ms], [0.01])
        measured[column] = place
    counts = model.block_counts.matrix(members)
    mean_ms, std_ms = pool_latency_ms(model.fitted(), counts, measured)
    one_by_one = model.predict(members)
    np.testing.assert_allclose(mean_ms, one_by_one.mean_ms, rtol=1e-9)
    np.testing.assert_allclose(std_ms, one_by_one.std_ms, rtol=1e-6)
