import numpy as np
import pytest

from fleetnas_latency.few_shot.calibration import interval_factor, student_scores
from fleetnas_latency.few_shot.clock import clock_tick_ms


def test_factor_is_the_conformal_quantile_of_both_sets() -> None:
    scores = np.arange(1.0, 10.0)
    assert interval_factor(scores, np.zeros(0)) == 9.0  # rank ceil(0.9 * 10) of nine
    assert interval_factor(scores, np.zeros(10)) == 8.0  # rank ceil(0.9 * 20) of nineteen


def test_factor_beyond_all_scores_is_the_largest() -> None:
    assert interval_factor(np.array([1.0, 2.0]), np.zeros(0)) == 2.0


def test_many_left_out_scores_outweigh_the_pseudo_scores() -> None:
    wide = interval_factor(np.full(1000, 3.0), student_scores())
    assert wide == 3.0


@pytest.mark.parametrize(
    ("values", "tick_ms"),
    [
        ([3.0, 5.0, 12.0], 1.0),
        ([3.5, 5.0, 12.0], 0.5),
        ([3.1, 5.0, 12.2], 0.1),
        ([3.123, 5.0, 12.2], 0.0),
        ([3.0, 5.0], 0.0),  # chance
    ],
)
def test_tick_is_the_longest_that_divides_all(values: list[float], tick_ms: float) -> None:
    assert clock_tick_ms(values) == tick_ms
