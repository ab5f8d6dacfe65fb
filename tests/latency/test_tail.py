"""The early-stopping rule for high percentiles."""

from random import Random

import pytest

from fleetnas_latency.tail import TAIL_CONFIDENCE, fewest_runs, tail_ms
from fleetnas_search_spaces.errors import InvalidArgumentError


def test_fewest_runs_are_those_that_mlperf_publishes() -> None:
    assert (fewest_runs(0.9), fewest_runs(0.99)) == (64, 662)


def test_too_few_runs_give_no_percentile() -> None:
    assert tail_ms([1.0] * 63) is None
    assert tail_ms([1.0] * 64) == 1.0


def test_highest_run_stands_for_the_percentile_of_the_fewest_runs() -> None:
    assert tail_ms([1.0] * 63 + [9.0]) == 9.0


def test_of_many_runs_it_is_the_percentile_itself() -> None:
    rng = Random(1)
    assert tail_ms([rng.random() for _ in range(20_000)]) == pytest.approx(0.9, abs=0.01)


def test_it_is_too_low_no_more_often_than_it_says() -> None:
    rng = Random(2)
    low = sum((tail_ms([rng.random() for _ in range(100)]) or 0.0) < 0.9 for _ in range(2_000))
    assert low / 2_000 <= 1.0 - TAIL_CONFIDENCE + 0.02


@pytest.mark.parametrize("percentile", [0.0, 1.0, 90.0])
def test_what_is_no_percentile_is_refused(percentile: float) -> None:
    with pytest.raises(InvalidArgumentError, match="percentile"):
        tail_ms([1.0], percentile)
