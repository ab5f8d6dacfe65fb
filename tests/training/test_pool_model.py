import numpy as np
import pytest

from fleetnas_training.pool_model import PoolModel

_POOL = np.random.default_rng(0).standard_normal((50, 3))


def _truth(features: np.ndarray) -> float:
    return float(90.0 + 2.0 * np.sin(features[0]) + features[1])


def _model(*, noisy: bool = True) -> PoolModel:
    return PoolModel(_POOL, np.arange(50), noisy=noisy, fine=0.1)


@pytest.mark.parametrize("count", [3, 11, 12, 30])
def test_observed_candidates_are_predicted_in_the_quantity_s_own_unit(count: int) -> None:
    model = _model(noisy=False)
    for row in range(count):
        model.observe(_POOL[row], row, _truth(_POOL[row]), 0.0)
    expected = [_truth(_POOL[row]) for row in range(count)]
    np.testing.assert_allclose(model.mean[:count], expected, atol=0.1)


def test_unseen_candidates_are_predicted_within_their_deviation() -> None:
    model = _model()
    for row in range(30):
        model.observe(_POOL[row], row, _truth(_POOL[row]), 0.0)
    errors = np.array([_truth(features) for features in _POOL[30:]]) - model.mean[30:]
    assert np.abs(errors / np.sqrt(model.variance[30:] + model.noise_variance)).mean() < 1.5


def test_an_observation_known_to_be_poor_moves_less() -> None:
    sure, unsure = _model(), _model()
    for row in range(20):
        for model in (sure, unsure):
            model.observe(_POOL[row], row, _truth(_POOL[row]), 0.0)
    sure.observe(_POOL[40], 40, 100.0, 0.0)
    unsure.observe(_POOL[40], 40, 100.0, 25.0)
    assert unsure.mean[40] < sure.mean[40]


def test_thousands_of_observations_keep_a_bounded_number_of_rows() -> None:
    model = _model()
    rng = np.random.default_rng(1)
    for _ in range(1_500):
        row = int(rng.integers(0, 50))
        model.observe(_POOL[row], row, _truth(_POOL[row]) + 0.1 * rng.standard_normal(), 0.0)
    assert model.row_count <= 600
    np.testing.assert_allclose(model.mean, [_truth(features) for features in _POOL], atol=0.5)


def test_equal_observations_do_not_divide_by_zero() -> None:
    model = _model()
    for row in range(15):
        model.observe(_POOL[row], row, 90.0, 0.0)
    np.testing.assert_allclose(model.mean, 90.0, atol=1e-6)
