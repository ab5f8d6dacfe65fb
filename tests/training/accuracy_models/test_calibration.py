import numpy as np
import pytest

from fleetnas_training.accuracy_models.calibration import calibrated_coverage, conformal_sigmas


def test_gaussian_misses_give_the_gaussian_interval() -> None:
    misses = np.abs(np.random.default_rng(0).standard_normal(20_000))
    assert conformal_sigmas(misses) == pytest.approx(1.645, abs=0.03)


def test_too_narrow_models_get_wider_intervals() -> None:
    misses = np.abs(np.random.default_rng(0).standard_normal(200))
    assert conformal_sigmas(3.0 * misses) == pytest.approx(3.0 * conformal_sigmas(misses))


def test_the_largest_miss_stands_for_what_few_trainings_cannot_show() -> None:
    assert conformal_sigmas(np.array([0.5, 4.0, 1.0])) == 4.0


@pytest.mark.parametrize("count", [10, 50, 200])
def test_nine_of_ten_fall_into_what_the_others_calibrate(count: int) -> None:
    misses = np.abs(np.random.default_rng(count).standard_normal(count))
    assert calibrated_coverage(misses) == pytest.approx(0.9, abs=0.021)
