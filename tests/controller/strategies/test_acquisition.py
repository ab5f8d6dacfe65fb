import numpy as np
import pytest

from fleetnas_controller.strategies.acquisition import choose, expected_excess, improvement, log_cap_score

_MEAN, _VARIANCE = np.array([1.0, 0.8, 0.2]), np.array([0.04, 0.04, 0.04])


def test_gain_agrees_with_simulation() -> None:
    gain = improvement(_MEAN, _VARIANCE, 0.01, np.array([True, True, False]))
    step = 0.04 / np.sqrt(0.05)
    moved = step * np.random.default_rng(0).standard_normal(400_000)
    incumbent = np.maximum(1.0 + moved, 0.8).mean() - 1.0
    runner_up = np.maximum(0.8 + moved, 1.0).mean() - 1.0
    assert gain[:2] == pytest.approx([incumbent, runner_up], abs=1e-3)


def test_a_sure_candidate_gains_nothing() -> None:
    gain = improvement(np.array([1.0, 0.5]), np.array([1e-12, 1e-12]), 0.0, np.array([True, True]))
    assert gain == pytest.approx([0.0, 0.0], abs=1e-6)


def test_the_only_rival_has_nothing_to_fall_behind() -> None:
    assert improvement(_MEAN, _VARIANCE, 0.01, np.array([True, False, False]))[0] == 0.0


def test_probability_of_keeping_the_caps_decides_between_equal_gains() -> None:
    allowed = np.ones(3, dtype=bool)
    assert choose(np.ones(3), np.array([0.3, 0.9, 0.5]), np.zeros(3), allowed) == 1


def test_candidates_that_hardly_keep_the_caps_are_left_out() -> None:
    allowed = np.ones(2, dtype=bool)
    assert choose(np.array([1e6, 1e-9]), np.array([0.01, 0.5]), np.zeros(2), allowed) == 1


def test_where_none_keeps_the_caps_the_nearest_is_chosen() -> None:
    scores = np.array([-9.0, -4.0, -3.0])
    assert choose(np.ones(3), np.zeros(3), scores, np.array([True, True, False])) == 1


def test_cap_score_counts_standard_deviations() -> None:
    score = log_cap_score(np.log(10.0), np.log(np.array([8.0])), np.array([0.1]))
    assert score[0] == pytest.approx(np.log(10 / 8) / 0.1)


@pytest.mark.parametrize("std", [1e-9, 0.1, 0.6])
def test_expected_excess_agrees_with_simulation(std: float) -> None:
    log_mean = np.log(np.array([0.5, 2.0, 8.0]))
    drawn = np.exp(log_mean + std * np.random.default_rng(0).standard_normal((200_000, 3)))
    simulated = np.maximum(drawn - 2.0, 0.0).mean(axis=0)
    assert expected_excess(2.0, log_mean, np.full(3, std)) == pytest.approx(simulated, rel=0.02, abs=0.005)
