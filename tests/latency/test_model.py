from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import block_costs
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Operator

SPACE = NASBenchMacro()


def _networks(count: int, seed: int = 0) -> list[Architecture]:
    rng = Random(seed)
    found: dict[str, Architecture] = {}
    while len(found) < count:
        one = SPACE.canonical(SPACE.sample(rng))
        found[one.key] = one
    return list(found.values())


class SimulatedDevice:
    """Latencies from MACs and bytes, 5 % scatter of each block, 1 % noise of each measurement."""

    def __init__(self, seed: int, *, block_scatter: float = 0.05) -> None:
        self._rng = np.random.default_rng(seed)
        self._block_ms: dict[Operator, float] = {}
        self._scatter = block_scatter
        self._macs_ms, self._depthwise_ms, self._bytes_ms = self._rng.uniform(0.5, 1.5, 3) * [
            1e-7,
            4e-7,
            2e-7,
        ]

    def true_ms(self, architecture: Architecture) -> float:
        graph = SPACE.graph(architecture)
        total = 0.3
        for block, cost in zip(graph.blocks, block_costs(graph), strict=True):
            if block not in self._block_ms:
                dense = self._macs_ms * (cost.macs - cost.depthwise_macs)
                plain = dense + self._depthwise_ms * cost.depthwise_macs + self._bytes_ms * cost.bytes_moved
                self._block_ms[block] = plain * self._rng.lognormal(0.0, self._scatter)
            total += self._block_ms[block]
        return total

    def measured(self, networks: list[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        true = np.array([self.true_ms(one) for one in networks])
        return true * self._rng.lognormal(0.0, 0.01, len(true)), 0.01 * true


def _model(networks: list[Architecture], device: SimulatedDevice) -> LatencyModel:
    model = LatencyModel(SPACE)
    model.observe(networks, *device.measured(networks))
    return model


def _calibration(own_factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relative errors; whether the interval holds the truth; whether it holds a reading with 1 % noise."""
    errors, truths, readings = [], [], []
    for seed in range(12):
        device, networks = SimulatedDevice(seed), _networks(230, seed)
        rng = np.random.default_rng(seed + 50)
        true = np.array([device.true_ms(one) for one in networks]) * rng.lognormal(0.0, own_factor, 230)
        read = true * rng.lognormal(0.0, 0.01, 230)
        model = LatencyModel(SPACE)
        model.observe(networks[:30], read[:30], 0.01 * true[:30])
        found = model.predict(networks[30:])
        errors.append(np.abs(found.mean_ms / true[30:] - 1.0))
        truths.append(np.abs(found.mean_ms - true[30:]) <= 1.96 * found.std_ms)
        readings.append(np.abs(found.mean_ms - read[30:]) <= 1.96 * found.std_ms)
    return np.concatenate(errors), np.concatenate(truths), np.concatenate(readings)


def test_thirty_networks_are_enough_for_two_percent_and_honest_intervals() -> None:
    # Each network has a factor of its own that its blocks do not explain, as on devices.
    errors, truths, _ = _calibration(own_factor=0.01)
    assert np.median(errors) < 0.02
    assert 0.90 <= truths.mean() <= 0.99


def test_intervals_are_on_the_safe_side_where_blocks_explain_everything() -> None:
    # The prior expects a factor of its own for each network; without one the truth is covered too often (99.5 %
    # for 95 %), a reading with its noise as it should be.
    errors, truths, readings = _calibration(own_factor=0.0)
    assert np.median(errors) < 0.02
    assert truths.mean() >= 0.95
    assert 0.90 <= readings.mean() <= 0.99


def test_intervals_of_few_observations_are_wider_than_those_of_many() -> None:
    device, networks = SimulatedDevice(1), _networks(150)
    few, many = _model(networks[:5], device), _model(networks[:100], device)
    assert np.all(few.predict(networks[100:]).std_ms > many.predict(networks[100:]).std_ms)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12))
def test_order_of_observations_does_not_matter(seed: int, count: int) -> None:
    networks, asked = _networks(count, seed), _networks(20, seed + 1)
    values, std = SimulatedDevice(seed).measured(networks)
    one, other = LatencyModel(SPACE), LatencyModel(SPACE)
    one.observe(networks, values, std)
    for index in Random(seed).sample(range(count), count):
        other.observe([networks[index]], values[index], std[index])
    np.testing.assert_allclose(one.predict(asked).mean_ms, other.predict(asked).mean_ms, rtol=1e-6)
    np.testing.assert_allclose(one.predict(asked).std_ms, other.predict(asked).std_ms, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 12))
def test_measuring_a_network_as_predicted_narrows_its_interval(seed: int, count: int) -> None:
    networks = _networks(count + 1, seed)
    model = _model(networks[:count], SimulatedDevice(seed))
    before = model.predict(networks[count:])
    model.observe(networks[count:], before.mean_ms, 0.1 * before.std_ms)
    assert model.predict(networks[count:]).std_ms[0] < before.std_ms[0]


def test_repeats_count_as_precision() -> None:
    networks = _networks(8)
    values, std = SimulatedDevice(2).measured(networks)
    repeated, precise = LatencyModel(SPACE), LatencyModel(SPACE)
    for _ in range(4):
        repeated.observe(networks, values, std)
    precise.observe(networks, values, std / 2.0)
    asked = _networks(50, 9)
    np.testing.assert_allclose(repeated.predict(asked).mean_ms, precise.predict(asked).mean_ms)
    np.testing.assert_allclose(repeated.predict(asked).std_ms, precise.predict(asked).std_ms)
    assert repeated.network_count == 8


def test_architectures_of_the_same_function_share_their_observation() -> None:
    networks = _networks(6)
    model = _model(networks, SimulatedDevice(0))
    raw = next(
        one for one in (SPACE.sample(Random(seed)) for seed in range(1000)) if SPACE.canonical(one) != one
    )
    found = model.predict([raw, SPACE.canonical(raw)])
    assert found.mean_ms[0] == found.mean_ms[1]


def test_prediction_scales_with_the_devices_speed() -> None:
    networks, asked = _networks(15), _networks(30, 5)
    values, std = SimulatedDevice(4).measured(networks)
    slow, fast = LatencyModel(SPACE), LatencyModel(SPACE)
    fast.observe(networks, values, std)
    slow.observe(networks, 100.0 * values, 100.0 * std)
    np.testing.assert_allclose(slow.predict(asked).mean_ms, 100.0 * fast.predict(asked).mean_ms, rtol=1e-6)
    np.testing.assert_allclose(slow.predict(asked).std_ms, 100.0 * fast.predict(asked).std_ms, rtol=1e-6)


def test_one_observation_gives_a_wide_positive_prediction() -> None:
    networks = _networks(21)
    found = _model(networks[:1], SimulatedDevice(0)).predict(networks[1:])
    assert np.all(found.mean_ms > 0.0)
    assert np.median(found.std_ms / found.mean_ms) > 0.05


def test_more_observations_than_entries_stay_stable() -> None:
    device, networks = SimulatedDevice(3), _networks(400)
    found = _model(networks, device).predict(networks)
    truth = np.array([device.true_ms(one) for one in networks])
    assert np.all(np.isfinite(found.std_ms))
    assert np.median(np.abs(found.mean_ms / truth - 1.0)) < 0.01


def test_block_never_measured_has_its_prior_and_is_requested_widest_first() -> None:
    small = SPACE.parse("00000000")
    model = _model([SPACE.canonical(small)], SimulatedDevice(0))
    model.predict([SPACE.reference])
    requests = model.requests()
    widths = [one.std_ms for one in requests]
    assert requests
    assert widths == sorted(widths, reverse=True)
    assert all(one.mean_ms > 0.0 and one.source == "prior" and one.network_count == 0 for one in requests)


def test_coverage_counts_the_networks_behind_each_entry() -> None:
    networks = _networks(12)
    coverage = _model(networks, SimulatedDevice(0)).coverage()
    assert coverage[0].operator is None
    assert coverage[0].network_count == 12
    blocks = {one: {*SPACE.graph(one).blocks} for one in networks}
    for entry in coverage[1:]:
        assert entry.network_count == sum(entry.operator in found for found in blocks.values())
        assert entry.source == "learned"


def test_explanation_adds_up_to_what_the_blocks_explain() -> None:
    device, networks = SimulatedDevice(6), _networks(60)
    model = _model(networks[:50], device)
    asked = networks[50]
    shares = model.explain(asked)
    assert [one.operator for one in shares] == [None, *SPACE.graph(asked).blocks]
    assert sum(one.mean_ms for one in shares) == pytest.approx(model.predict([asked]).mean_ms[0], rel=1e-6)


def test_nothing_observed_is_said_with_the_cure() -> None:
    with pytest.raises(FailedPreconditionError, match="measure some networks"):
        LatencyModel(SPACE).predict(_networks(1))


@pytest.mark.parametrize(
    ("latency_ms", "std_ms"),
    [(0.0, 0.1), (-1.0, 0.1), (np.nan, 0.1), (np.inf, 0.1), (1.0, -0.1), (1.0, np.nan)],
)
def test_latency_that_cannot_be_is_refused(latency_ms: float, std_ms: float) -> None:
    with pytest.raises(InvalidArgumentError, match="nas-bench-macro"):
        LatencyModel(SPACE).observe(_networks(1), [latency_ms], [std_ms])


def test_refused_batch_leaves_the_model_as_it_was() -> None:
    model = LatencyModel(SPACE)
    with pytest.raises(InvalidArgumentError):
        model.observe(_networks(2), [1.0, -1.0], [0.1, 0.1])
    assert model.network_count == 0


def test_sequences_of_different_length_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        LatencyModel(SPACE).observe(_networks(2), [1.0], [0.1])


def test_predicting_nothing_gives_nothing() -> None:
    found = _model(_networks(3), SimulatedDevice(0)).predict([])
    assert found.mean_ms.shape == found.std_ms.shape == (0,)


def test_update_with_one_network_is_nearly_the_fit_with_all() -> None:
    networks = _networks(80)
    values, std = SimulatedDevice(5).measured(networks)
    updated, fitted = _model_of(networks[:40], values, std), _model_of(networks[:41], values, std)
    before = updated.predict(networks[50:])
    updated.update(networks[40], float(values[40]), float(std[40]))
    after, expected = updated.predict(networks[50:]), fitted.predict(networks[50:])
    moved = np.abs(expected.mean_ms - before.mean_ms).max()
    assert np.abs(after.mean_ms - expected.mean_ms).max() < 0.2 * moved
    np.testing.assert_allclose(after.std_ms, expected.std_ms, rtol=0.1)
    assert updated.network_count == 41


def test_updated_model_knows_the_network_it_was_told() -> None:
    networks = _networks(60)
    values, std = SimulatedDevice(5).measured(networks)
    model = _model_of(networks[:20], values, std)
    model.predict(networks)
    for index in range(20, 40):
        model.update(networks[index], float(values[index]), float(std[index]))
    found = model.predict(networks[20:40])
    assert np.median(np.abs(found.mean_ms / values[20:40] - 1.0)) < 0.01


def test_update_with_blocks_never_met_is_a_new_fit() -> None:
    small = SPACE.canonical(SPACE.parse("00000000"))
    device = SimulatedDevice(1)
    model = _model([small], device)
    model.predict([small])
    model.update(SPACE.reference, device.true_ms(SPACE.reference), 0.01)
    assert {one.network_count for one in model.coverage()} == {1, 2}


def _model_of(networks: list[Architecture], values: np.ndarray, std: np.ndarray) -> LatencyModel:
    model = LatencyModel(SPACE)
    model.observe(networks, values[: len(networks)], std[: len(networks)])
    return model
