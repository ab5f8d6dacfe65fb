"""Devices that change between two speeds, on noise whose truth is known."""

import numpy as np
import pytest

from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.speeds import two_speeds

Rounds = list[list[float]]


def _rounds(rng: np.random.Generator, slow: list[bool], gap: float = 0.08, sigma: float = 0.02) -> Rounds:
    return [((1.0 + gap * one) * rng.lognormal(0.0, sigma, 14)).tolist() for one in slow]


def _stays(
    rng: np.random.Generator, count: int, slow_rounds: float = 3.0, fast_rounds: float = 7.0
) -> list[bool]:
    """A device that stays so many rounds at each speed in the mean."""
    state, states = bool(rng.random() < 0.3), []
    for _ in range(count):
        states.append(state)
        state ^= bool(rng.random() < 1.0 / (slow_rounds if state else fast_rounds))
    return states


def test_groups_are_those_that_were_planted() -> None:
    slow = [index in (3, 4, 9) for index in range(20)]
    found = two_speeds(_rounds(np.random.default_rng(1), slow), 0.95)
    assert found is not None
    assert found.slow == tuple(slow)
    assert found.gap == pytest.approx(0.08, abs=0.02)
    assert found.change_count == 4


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.1])
def test_noise_alone_is_one_speed(sigma: float) -> None:
    rng = np.random.default_rng(2)
    found = [two_speeds(_rounds(rng, [False] * 40, sigma=sigma), 0.95) for _ in range(200)]
    assert sum(one is not None for one in found) <= 4


def test_speeds_that_are_near_each_other_are_one() -> None:
    rounds = _rounds(np.random.default_rng(3), [index % 3 == 0 for index in range(30)], gap=0.02, sigma=0.002)
    assert two_speeds(rounds, 0.95) is None


def test_interval_of_the_share_covers_and_narrows_with_the_stays_seen() -> None:
    rng = np.random.default_rng(4)
    widths = []
    for count in (60, 400):
        found = [two_speeds(_rounds(rng, _stays(rng, count)), 0.95) for _ in range(200)]
        seen = [one for one in found if one is not None]
        assert len(seen) >= 180
        assert sum(one.low_share <= 0.3 <= one.high_share for one in seen) / len(seen) >= 0.92
        widths.append(np.median([one.high_share - one.low_share for one in seen]))
    assert widths[1] < 0.6 * widths[0]


def test_one_visit_to_another_speed_says_little_of_its_share() -> None:
    found = two_speeds(_rounds(np.random.default_rng(5), [index in (10, 11) for index in range(30)]), 0.95)
    assert found is not None
    assert found.high_share > 0.4
    assert found.low_share < 0.01


def test_median_of_a_device_that_stays_for_long_at_two_speeds_is_covered() -> None:
    rng = np.random.default_rng(6)
    truth = float(np.median(np.concatenate(_rounds(rng, _stays(rng, 30_000)))))
    found = [estimate_rounds(_rounds(rng, _stays(rng, 100))) for _ in range(200)]
    assert sum(one.low <= truth <= one.high for one in found) / len(found) >= 0.92


def test_quantile_at_the_seen_share_is_that_of_the_runs() -> None:
    slow = [index % 3 == 0 for index in range(30)]
    rounds = _rounds(np.random.default_rng(7), slow)
    found = two_speeds(rounds, 0.95)
    assert found is not None
    seen = float(np.median(np.concatenate(rounds)))
    assert found.quantile(rounds, 0.5, sum(slow) / len(slow)) == pytest.approx(seen, rel=1e-4)
    assert found.quantile(rounds, 0.5, 0.01) < seen < found.quantile(rounds, 0.5, 0.6)


def test_few_rounds_and_runs_of_no_duration_are_one_speed() -> None:
    assert two_speeds([[1.0], [2.0]], 0.95) is None
    assert two_speeds([[0.0, 0.0]] * 5 + [[1.0, 1.0]] * 5, 0.95) is None
