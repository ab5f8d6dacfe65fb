import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_latency.statistics import Estimate, Statistic, estimate, ratio_estimate
from fleetnas_search_spaces.errors import InvalidArgumentError

latencies = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=200)


def _coverage(quantile: float, count: int, sigma: float, trials: int = 1500) -> float:
    rng = np.random.default_rng(7)
    truth = 1.0 if quantile == 0.5 else math.exp(-1.2815515655446004 * sigma)
    hits = 0
    for _ in range(trials):
        found = estimate(rng.lognormal(0.0, sigma, count).tolist(), quantile)
        hits += found.low <= truth <= found.high
    return hits / trials


@pytest.mark.parametrize(("quantile", "count"), [(0.5, 30), (0.5, 200), (0.1, 60), (0.1, 300)])
def test_interval_covers_as_promised_under_lognormal_noise(quantile: float, count: int) -> None:
    # Ranks are whole numbers, so the exact coverage lies a little above what was asked for.
    assert 0.94 <= _coverage(quantile, count, sigma=0.1) <= 0.98


def test_median_interval_ignores_rare_spikes() -> None:
    rng = np.random.default_rng(3)
    samples = rng.lognormal(0.0, 0.01, 400)
    spiked = np.where(rng.random(400) < 0.05, 20.0 * samples, samples)
    assert estimate(spiked.tolist()).high < 1.01


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # Ranks of Conover, Practical Nonparametric Statistics, for the median at 95 %: n = 10, 20.
    [(10, 2, 9), (20, 6, 15)],
)
def test_median_interval_has_the_textbook_ranks(count: int, low: int, high: int) -> None:
    found = estimate([float(rank) for rank in range(1, count + 1)])
    assert (found.low, found.high) == (low, high)


def test_too_few_samples_for_the_lowest_decile_say_so_in_the_level() -> None:
    found = estimate([float(value) for value in range(1, 11)], 0.1)
    assert found.low == 1.0
    # P(X <= 3) - P(X = 0) of a Binomial(10, 0.1), by hand: the fourth smallest is the upper end.
    assert found.high == 4.0
    assert found.level == pytest.approx(0.98720 - 0.34868, abs=1e-4)


def test_one_sample_reaches_no_level() -> None:
    assert estimate([5.0]).level < 0.05


@given(latencies, st.floats(0.01, 0.99))
def test_estimate_lies_in_its_interval_or_between_neighbouring_samples(
    samples: list[float], quantile: float
) -> None:
    found = estimate(samples, quantile)
    assert min(samples) <= found.low <= found.high <= max(samples)
    assert found.value == pytest.approx(float(np.quantile(samples, quantile)))


@given(latencies, st.floats(0.01, 100.0))
def test_estimate_scales_with_its_unit(samples: list[float], factor: float) -> None:
    one, other = estimate(samples), estimate([factor * sample for sample in samples])
    assert other.low == pytest.approx(factor * one.low)
    assert other.high == pytest.approx(factor * one.high)


def test_large_samples_do_not_overflow_the_binomial() -> None:
    found = estimate(np.linspace(0.0, 1.0, 100_001).tolist(), 0.5)
    # Normal approximation: 1.96 sqrt(n / 4) ranks to each side.
    assert found.high - 0.5 == pytest.approx(1.96 * math.sqrt(100_001 / 4) / 100_001, rel=0.01)


def test_std_is_that_of_a_normal_of_the_same_width() -> None:
    assert Estimate(10.0, 10.0 - 1.96, 10.0 + 1.96).std == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("samples", [[], [1.0, math.nan], [math.inf]])
def test_samples_that_are_none_are_refused(samples: list[float]) -> None:
    with pytest.raises(InvalidArgumentError):
        estimate(samples)


@pytest.mark.parametrize("quantile", [0.0, 1.0, math.nan])
def test_quantile_outside_zero_to_one_is_refused(quantile: float) -> None:
    with pytest.raises(InvalidArgumentError, match="quantile"):
        estimate([1.0, 2.0], quantile)


def test_statistics_name_their_clock_and_quantile() -> None:
    found = {one: (one.series, one.quantile) for one in Statistic}
    assert found == {
        Statistic.WALL_MEDIAN: ("wall", 0.5),
        Statistic.CPU_MEDIAN: ("cpu", 0.5),
        Statistic.CPU_P10: ("cpu", 0.1),
    }


def _rounds(
    rng: np.random.Generator, count: int, runs: int, weather: np.ndarray, level: float
) -> list[list[float]]:
    return [(level * weather[index] * rng.lognormal(0.0, 0.05, runs)).tolist() for index in range(count)]


@pytest.mark.parametrize(("quantile", "round_count"), [(0.5, 10), (0.5, 40), (0.1, 10), (0.1, 40)])
def test_ratio_interval_covers_as_promised_in_changing_weather(quantile: float, round_count: int) -> None:
    rng = np.random.default_rng(11)
    hits, trials = 0, 200
    for _ in range(trials):
        weather = rng.lognormal(0.0, 0.1, round_count)
        candidate = _rounds(rng, round_count, 7, weather, 3.0)
        anchor = _rounds(rng, round_count, 7, weather, 1.0)
        found = ratio_estimate(candidate, anchor, quantile)
        hits += found.low <= 3.0 <= found.high
    assert 0.91 <= hits / trials <= 0.99


def test_ratio_is_narrower_than_what_the_weather_does_to_the_latency() -> None:
    rng = np.random.default_rng(5)
    weather = rng.lognormal(0.0, 0.2, 30)
    candidate, anchor = _rounds(rng, 30, 9, weather, 2.0), _rounds(rng, 30, 9, weather, 1.0)
    medians = [float(np.median(one)) for one in candidate]
    assert ratio_estimate(candidate, anchor).relative_half_width < 0.5 * np.std(medians) / 2.0


def test_ratio_is_deterministic() -> None:
    rng = np.random.default_rng(1)
    candidate, anchor = _rounds(rng, 8, 5, np.ones(8), 2.0), _rounds(rng, 8, 5, np.ones(8), 1.0)
    assert ratio_estimate(candidate, anchor) == ratio_estimate(candidate, anchor)


def test_ratio_of_a_few_rounds_combines_both_intervals() -> None:
    found = ratio_estimate([[2.0, 2.2], [2.1]], [[1.0], [1.1, 1.2]])
    assert (found.low, found.high) == pytest.approx((2.0 / 1.2, 2.2 / 1.0))


@pytest.mark.parametrize(
    ("candidate", "anchor"), [([[1.0]], []), ([[1.0], []], [[1.0], [1.0]]), ([[0.0]], [[1.0]]), ([], [])]
)
def test_ratio_of_unmatched_or_empty_rounds_is_refused(
    candidate: list[list[float]], anchor: list[list[float]]
) -> None:
    with pytest.raises(InvalidArgumentError):
        ratio_estimate(candidate, anchor)
