import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetnas_training.gaussian_process import GaussianProcess
from fleetnas_training.kernel import Kernel
from fleetnas_training.pool_posterior import PoolPosterior

_RNG = np.random.default_rng(0)
_POOL = _RNG.standard_normal((40, 3))
_IDS = np.arange(40)
_KERNEL = Kernel.prior(3, noisy=True)


def _targets(rows: list[int]) -> np.ndarray:
    return np.sin(_POOL[rows, 0]) + 0.1 * np.arange(len(rows))


def _appended(rows: list[int]) -> PoolPosterior:
    posterior = PoolPosterior(_KERNEL, _POOL, _IDS)
    for row, target in zip(rows, _targets(rows), strict=True):
        posterior.append(_POOL[row], row, float(target), _KERNEL.noise_variance)
    return posterior


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.integers(0, 39), min_size=1, max_size=30))
def test_one_at_a_time_is_the_same_as_all_at_once(rows: list[int]) -> None:
    exact = GaussianProcess(_KERNEL, _POOL[rows], np.array(rows), _targets(rows))
    mean, variance = exact.predict(_POOL, _IDS)
    at_once = PoolPosterior(_KERNEL, _POOL, _IDS)
    at_once.condition(_POOL[rows], np.array(rows), _targets(rows), np.full(len(rows), _KERNEL.noise_variance))
    for posterior in (_appended(rows), at_once):
        np.testing.assert_allclose(posterior.mean, mean, atol=1e-6)
        np.testing.assert_allclose(posterior.variance, variance, atol=1e-6)


def test_more_rows_than_first_reserved_are_taken() -> None:
    rows = [int(row) for row in _RNG.integers(0, 40, 300)]
    exact = GaussianProcess(_KERNEL, _POOL[rows], np.array(rows), _targets(rows))
    np.testing.assert_allclose(_appended(rows).mean, exact.predict(_POOL, _IDS)[0], atol=1e-5)


def test_belief_shrinks_variance_and_leaves_the_mean() -> None:
    posterior = _appended([1, 2, 3])
    mean, variance = posterior.mean.copy(), posterior.variance.copy()
    posterior.believe(_POOL[7], 7, _KERNEL.noise_variance)
    np.testing.assert_array_equal(posterior.mean, mean)
    assert posterior.variance[7] < 0.2 * variance[7]


def test_forgotten_beliefs_leave_no_bit_behind() -> None:
    plain, dreamer = _appended([1, 2, 3]), _appended([1, 2, 3])
    before = dreamer.snapshot()
    for row in (7, 8):
        dreamer.believe(_POOL[row], row, _KERNEL.noise_variance)
    dreamer.forget(before)
    for posterior in (plain, dreamer):
        posterior.append(_POOL[9], 9, 0.5, _KERNEL.noise_variance)
    np.testing.assert_array_equal(plain.mean, dreamer.mean)
    np.testing.assert_array_equal(plain.variance, dreamer.variance)


def test_replaced_candidates_are_predicted_as_if_there_from_the_start() -> None:
    rows = [1, 2, 3, 30]
    fresh, fresh_ids = _RNG.standard_normal((2, 3)), np.array([77, 78])
    posterior = _appended(rows)
    posterior.replace(np.array([10, 20]), fresh, fresh_ids)
    posterior.append(_POOL[4], 4, 0.3, _KERNEL.noise_variance)
    targets = np.append(_targets(rows), 0.3)
    exact = GaussianProcess(_KERNEL, _POOL[[*rows, 4]], np.array([*rows, 4]), targets)
    mean, variance = exact.predict(fresh, fresh_ids)
    np.testing.assert_allclose(posterior.mean[[10, 20]], mean, atol=1e-6)
    np.testing.assert_allclose(posterior.variance[[10, 20]], variance, atol=1e-6)
