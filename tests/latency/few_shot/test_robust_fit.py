import numpy as np
import pytest

from fleetnas_latency.few_shot.robust_fit import Measured, fit_robust
from fleetnas_latency.few_shot.robust_posterior import Believed, Floats

TRUE_MS = np.array([2.0, 1.0, 3.0])


def _believed(width: int = 3) -> Believed:
    """Entries of about a third each of networks of mean latency 1, wide open."""
    mean = np.full((1, width), 1.0 / (4.0 * width))
    return Believed(mean, 0.2 * np.eye(width)[None], np.ones(1))


def _rows(count: int, seed: int = 0) -> Floats:
    counts = np.random.default_rng(seed).integers(0, 5, (count, 3)).astype(float)
    counts[:, 0] = 1.0
    return counts[None]


def test_exact_latencies_give_the_entries_back() -> None:
    rows = _rows(30)
    posterior = fit_robust(_believed(), Measured(rows, rows[0] @ TRUE_MS, np.zeros(30)))
    mean_ms, std_ms = posterior.entries()
    assert mean_ms == pytest.approx(TRUE_MS, rel=0.01)
    assert np.all(std_ms < 0.05)


def test_one_wild_measurement_in_ten_hardly_matters() -> None:
    rows = _rows(20)
    latency_ms = rows[0] @ TRUE_MS
    latency_ms[[3, 11]] *= 3.0
    mean_ms, _ = fit_robust(_believed(), Measured(rows, latency_ms, np.zeros(20))).entries()
    assert mean_ms == pytest.approx(TRUE_MS, rel=0.1)


def test_more_entries_than_networks_agree_with_fewer() -> None:
    """The two forms of the same sums: by networks and by entries."""
    rows = _rows(6)
    latency_ms = rows[0] @ TRUE_MS * np.random.default_rng(1).lognormal(0.0, 0.05, 6)
    narrow = _believed()
    # Thirty more coordinates that no row uses make the factor wider than the networks are many.
    wide = Believed(narrow.mean, np.concatenate([narrow.factor, np.zeros((1, 3, 30))], axis=2), np.ones(1))
    asked = _rows(40, seed=2)
    measured = Measured(rows, latency_ms, np.full(6, 0.01))
    left, right = fit_robust(narrow, measured), fit_robust(wide, measured)
    for one, other in zip(left.networks(asked), right.networks(asked), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(left.left_out_scores, right.left_out_scores, rtol=1e-6)
    np.testing.assert_allclose(left.gains(asked, asked), right.gains(asked, asked), rtol=1e-6)


def test_prediction_scales_with_the_devices_speed() -> None:
    rows, asked = _rows(8), _rows(20, seed=3)
    latency_ms = rows[0] @ TRUE_MS * np.random.default_rng(1).lognormal(0.0, 0.05, 8)
    slow, fast = (
        fit_robust(_believed(), Measured(rows, factor * latency_ms, np.zeros(8))).networks(asked)
        for factor in (100.0, 1.0)
    )
    np.testing.assert_allclose(slow[0], 100.0 * fast[0], rtol=1e-6)
    np.testing.assert_allclose(slow[1], 100.0 * fast[1], rtol=1e-6)


def test_evidence_finds_the_hypothesis_that_holds() -> None:
    truth, other = _rows(12), _rows(12, seed=9)
    believed = Believed(
        np.tile(_believed().mean, (2, 1)), np.tile(_believed().factor, (2, 1, 1)), np.array([0.1, 0.9])
    )
    rows = np.concatenate([truth, other])
    posterior = fit_robust(believed, Measured(rows, truth[0] @ TRUE_MS, np.zeros(12)))
    assert posterior.hypothesis_weights()[0] > 0.99


def test_noisy_clock_widens_the_prediction() -> None:
    rows, asked = _rows(10), _rows(20, seed=4)
    latency_ms = rows[0] @ TRUE_MS
    sure = fit_robust(_believed(), Measured(rows, latency_ms, np.zeros(10))).networks(asked)[1]
    unsure = fit_robust(_believed(), Measured(rows, latency_ms, np.full(10, 1.0))).networks(asked)[1]
    assert np.all(unsure > sure)


def test_network_that_would_teach_most_is_the_one_least_like_those_measured() -> None:
    rows = np.array([[[1.0, 2.0, 0.0], [1.0, 4.0, 0.0]]])
    posterior = fit_robust(_believed(), Measured(rows, rows[0] @ TRUE_MS, np.zeros(2)))
    candidates = np.array([[[1.0, 3.0, 0.0], [1.0, 3.0, 4.0]]])
    assert int(posterior.gains(candidates, _rows(50)).argmax()) == 1
