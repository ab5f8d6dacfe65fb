import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_training.warp import percent_of, warp


@given(accuracy_percent=st.floats(-500.0, 100.0))
def test_a_certain_accuracy_comes_back(accuracy_percent: float) -> None:
    mean, std = percent_of(np.array([warp(accuracy_percent)]), np.array([0.0]))
    np.testing.assert_allclose(mean, accuracy_percent, atol=1e-6)
    assert std[0] == 0.0


@given(lower=st.floats(0.0, 99.0), gain=st.floats(0.01, 1.0))
def test_better_stays_better(lower: float, gain: float) -> None:
    assert warp(lower + gain) > warp(lower)


def test_deviation_is_that_of_the_log_normal_error() -> None:
    draws = np.random.default_rng(0).normal(warp(92.0), 0.1, 200_000)
    mean, std = percent_of(np.array([warp(92.0)]), np.array([0.01]))
    sampled = 100.5 - np.exp(-draws)
    np.testing.assert_allclose([mean[0], std[0]], [sampled.mean(), sampled.std()], rtol=0.01)
