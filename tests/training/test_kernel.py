from dataclasses import replace

import numpy as np
import pytest

from fleetnas_training.kernel import Kernel, _Posterior, fit_kernel


@pytest.mark.parametrize("noisy", [True, False])
def test_gradient_of_the_posterior_agrees_with_differences(noisy: bool) -> None:
    rng = np.random.default_rng(0)
    features, ids, targets = rng.standard_normal((30, 4)), rng.integers(0, 20, 30), rng.standard_normal(30)
    posterior = _Posterior(features, ids, targets, rng.random(30) * 0.1, Kernel.prior(4, noisy=noisy))
    logs = posterior.pack(Kernel.prior(4, noisy=noisy, fine=0.3)) + 0.3 * rng.standard_normal(8)[: 7 + noisy]
    _, gradient = posterior(logs)
    steps = 1e-5 * np.eye(len(logs))
    differences = [(posterior(logs + step)[0] - posterior(logs - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-5)


def test_an_architecture_varies_with_itself_as_its_variance_says() -> None:
    rng = np.random.default_rng(1)
    features, ids = rng.standard_normal((6, 3)), np.arange(6)
    kernel = replace(Kernel.prior(3, noisy=True), matern=1.3, linear=0.7, architecture=0.4)
    np.testing.assert_allclose(
        np.diag(kernel.covariance(features, ids, features, ids)), kernel.variance(features), rtol=1e-6
    )


def test_fitting_finds_the_feature_that_matters() -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((80, 3))
    targets = np.sin(2.0 * features[:, 1])
    prior = Kernel.prior(3, noisy=True)
    kernel = fit_kernel(prior, prior, features, np.arange(80), targets, np.zeros(80))
    assert kernel.lengths[1] < 0.5 * min(kernel.lengths[0], kernel.lengths[2])


def test_noise_is_told_from_the_architecture_by_repeats() -> None:
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(40), 3)
    features = rng.standard_normal((40, 2))[ids]
    own, noise = rng.standard_normal(40)[ids], 0.1 * rng.standard_normal(120)
    prior = Kernel.prior(2, noisy=True)
    kernel = fit_kernel(prior, prior, features, ids, own + noise, np.zeros(120))
    assert kernel.noise == pytest.approx(0.1, rel=0.4)


def test_deterministic_kernel_stays_without_noise() -> None:
    rng = np.random.default_rng(4)
    prior = Kernel.prior(2, noisy=False)
    kernel = fit_kernel(
        prior, prior, rng.standard_normal((20, 2)), np.arange(20), rng.standard_normal(20), np.zeros(20)
    )
    assert kernel.noise == 0.0


def test_fitting_many_points_is_the_same_each_time() -> None:
    rng = np.random.default_rng(5)
    features, targets = rng.standard_normal((300, 2)), rng.standard_normal(300)
    prior = Kernel.prior(2, noisy=True)
    fits = [fit_kernel(prior, prior, features, np.arange(300), targets, np.zeros(300)) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].lengths, fits[1].lengths)
