import numpy as np

from fleetnas_training.gaussian_process import GaussianProcess
from fleetnas_training.kernel import Kernel

_RNG = np.random.default_rng(0)
_FEATURES = _RNG.standard_normal((15, 3))
_TARGETS = np.sin(_FEATURES[:, 0]) + _FEATURES[:, 1]
_IDS = np.arange(15)


def test_unseen_predictions_agree_with_leaving_the_architecture_out() -> None:
    kernel, ids = Kernel.prior(3, noisy=True), np.array([0, 0, *range(1, 14)])
    mean, variance = GaussianProcess(kernel, _FEATURES, ids, _TARGETS).predict_unseen(_FEATURES, ids)
    rest = np.arange(2, 15)
    left = GaussianProcess(kernel, _FEATURES[rest], ids[rest], _TARGETS[rest])
    expected_mean, expected_variance = left.predict(_FEATURES[1:2], ids[1:2])
    np.testing.assert_allclose(mean[1], expected_mean[0], rtol=1e-8)
    np.testing.assert_allclose(variance[1], expected_variance[0], rtol=1e-6)


def test_exact_observations_are_met() -> None:
    process = GaussianProcess(Kernel.prior(3, noisy=False), _FEATURES, _IDS, _TARGETS)
    mean, variance = process.predict(_FEATURES, _IDS)
    np.testing.assert_allclose(mean, _TARGETS, atol=0.02)
    assert variance.max() < 2e-4


def test_another_architecture_with_the_same_features_stays_uncertain() -> None:
    process = GaussianProcess(Kernel.prior(3, noisy=False, fine=0.3), _FEATURES, _IDS, _TARGETS)
    _, variance = process.predict(_FEATURES[:1], np.array([99]))
    assert variance[0] > 0.3**2


def test_far_from_all_data_the_prior_returns() -> None:
    kernel = Kernel.prior(3, noisy=True)
    process = GaussianProcess(kernel, _FEATURES, _IDS, _TARGETS)
    far = np.full((1, 3), 50.0)
    _, near_variance = process.predict(_FEATURES.mean(axis=0)[None, :], np.array([50]))
    _, far_variance = process.predict(far, np.array([51]))
    assert far_variance[0] > 20 * near_variance[0]
