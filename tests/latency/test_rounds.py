"""What the rounds of a measurement tell that its runs alone do not, on noise whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_latency.rounds import estimate_rounds, inflation, largest_shift
from fleetnas_latency.statistics import estimate, ratio_estimate

Rounds = list[list[float]]


def _independent(rng: np.random.Generator, sigma: float = 0.02, rounds: int = 12, runs: int = 14) -> Rounds:
    return [rng.lognormal(0.0, sigma, runs).tolist() for _ in range(rounds)]


def _flipping(rng: np.random.Generator, rounds: int = 40, runs: int = 14) -> Rounds:
    """Each round at one of two speeds."""
    speeds = np.where(rng.random(rounds) < 0.3, 1.08, 1.0)
    return [(speed * rng.lognormal(0.0, 0.02, runs)).tolist() for speed in speeds]


def _coverage(found: list[tuple[float, float]], truth: float) -> float:
    return sum(low <= truth <= high for low, high in found) / len(found)


def _truth_of_flipping() -> float:
    rng = np.random.default_rng(0)
    return float(np.median(np.concatenate(_flipping(rng, rounds=20_000))))


def test_independent_runs_get_the_order_statistic_interval_nearly_always() -> None:
    rng = np.random.default_rng(1)
    same = 0
    for _ in range(300):
        rounds = _independent(rng)
        plain = estimate([one for part in rounds for one in part])
        same += estimate_rounds(rounds) == plain
    assert same >= 0.75 * 300


def test_interval_of_independent_runs_covers_as_promised() -> None:
    rng = np.random.default_rng(2)
    found = [estimate_rounds(_independent(rng)) for _ in range(600)]
    assert 0.93 <= _coverage([(one.low, one.high) for one in found], 1.0) <= 0.985


def test_interval_of_rounds_at_two_speeds_covers_where_that_of_runs_does_not() -> None:
    rng, truth = np.random.default_rng(3), _truth_of_flipping()
    naive, aware = [], []
    for _ in range(300):
        rounds = _flipping(rng)
        one, other = estimate([run for part in rounds for run in part]), estimate_rounds(rounds)
        naive.append((one.low, one.high))
        aware.append((other.low, other.high))
    assert _coverage(naive, truth) < 0.75
    assert _coverage(aware, truth) > 0.91


def test_inflation_is_the_runs_of_a_round_when_these_are_all_alike() -> None:
    rng = np.random.default_rng(4)
    speeds = rng.lognormal(0.0, 0.05, 4000)
    factors = [inflation([[speed] * 10 for speed in part], 1.0) for part in speeds.reshape(-1, 10)]
    assert np.mean(factors) == pytest.approx(10.0, rel=0.15)


def test_few_rounds_inflate_nothing() -> None:
    assert inflation([[1.0, 1.0], [2.0, 2.0]], 1.5) == 1.0


@pytest.mark.parametrize("at", [1, 6, 11])
@pytest.mark.parametrize("step", [0.05, -0.05])
def test_step_is_found_where_it_is(at: int, step: float) -> None:
    rng = np.random.default_rng(5)
    rounds = [
        [run * (1.0 + step * (index >= at)) for run in part] for index, part in enumerate(_independent(rng))
    ]
    found = largest_shift(rounds, 0.5, 0.03)
    assert found is not None
    assert found.round_index == at
    assert found.change == pytest.approx(step, abs=0.015)


def test_step_below_the_limit_is_none() -> None:
    rng = np.random.default_rng(6)
    rounds = [
        [run * (1.0 + 0.02 * (index >= 6)) for run in part] for index, part in enumerate(_independent(rng))
    ]
    assert largest_shift(rounds, 0.5, 0.03) is None


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_steady_noise_raises_no_alarm(sigma: float) -> None:
    rng = np.random.default_rng(7)
    alarms = sum(largest_shift(_independent(rng, sigma), 0.5, 0.03) is not None for _ in range(400))
    assert alarms <= 0.01 * 400


def test_device_that_always_flips_between_two_speeds_is_not_accused() -> None:
    rng = np.random.default_rng(8)
    assert sum(largest_shift(_flipping(rng), 0.5, 0.03) is not None for _ in range(200)) <= 4


def test_spikes_make_no_shift() -> None:
    rng = np.random.default_rng(9)
    rounds = _independent(rng)
    rounds[-1] = [run * (8.0 if index < 3 else 1.0) for index, run in enumerate(rounds[-1])]
    assert largest_shift(rounds, 0.5, 0.03) is None


def _ticked(rng: np.random.Generator, truth: float, count: int) -> NDArray[np.float64]:
    """Durations of about ``truth`` ticks as a clock of whole ticks reads them."""
    ends = np.cumsum(truth * rng.lognormal(0.0, 0.002, count)) + rng.random()
    return np.diff(np.floor(np.concatenate(([0.0], ends))))[1:]


@pytest.mark.parametrize("truth", [100.0, 100.3, 100.5, 107.9])
def test_interval_of_a_coarse_clock_covers_the_truth_between_its_ticks(truth: float) -> None:
    rng = np.random.default_rng(10)
    found = [estimate(_ticked(rng, truth, 60).tolist(), tick=1.0) for _ in range(300)]
    assert _coverage([(one.low, one.high) for one in found], truth) >= 0.93
    assert max(one.relative_half_width for one in found) < 0.01


def test_fine_ticks_change_nothing() -> None:
    samples = np.random.default_rng(11).lognormal(0.0, 0.02, 100).tolist()
    assert estimate(samples, tick=1e-6) == estimate(samples)


def test_ratio_of_ten_rounds_covers_as_promised() -> None:
    rng = np.random.default_rng(12)
    found = [ratio_estimate(_independent(rng, rounds=10), _independent(rng, rounds=10)) for _ in range(800)]
    assert 0.93 <= _coverage([(one.low, one.high) for one in found], 1.0) <= 0.97
