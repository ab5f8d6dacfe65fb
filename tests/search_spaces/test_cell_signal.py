import math

import pytest

from fleetnas_search_spaces.cell_201 import CONV_1, CONV_3, NONE, POOL, SKIP
from fleetnas_search_spaces.cell_signal import signal_features

_NAMES = (
    "log_variance",
    "depth",
    "depth_std",
    "wide",
    "pools",
    "none",
    "one",
    "two",
    "three",
    "untouched",
    "no_wide",
)


def _of(*choices: int) -> dict[str, float]:
    return dict(zip(_NAMES, signal_features(choices), strict=False))


def test_a_skip_beside_a_convolution_carries_half_of_the_signal() -> None:
    found = _of(CONV_3, NONE, NONE, SKIP, SKIP, NONE)
    assert found["log_variance"] == pytest.approx(math.log(2.0))
    assert (found["untouched"], found["one"], found["wide"], found["depth_std"]) == (0.5, 0.5, 0.5, 0.5)


def test_a_convolution_shares_its_variance_among_the_ways_that_led_to_it() -> None:
    found = _of(SKIP, CONV_1, SKIP, NONE, NONE, CONV_3)  # node 2 is input and 1 x 1 in equal parts
    assert found["log_variance"] == pytest.approx(0.0)
    assert (found["one"], found["two"], found["depth"], found["no_wide"]) == (0.5, 0.5, 1.5, 0.0)


def test_poolings_are_met_without_a_loss() -> None:
    found = _of(NONE, NONE, NONE, POOL, NONE, NONE)
    assert (found["log_variance"], found["pools"], found["none"], found["untouched"]) == (0.0, 1.0, 1.0, 0.0)


def test_a_cell_that_nothing_crosses_is_all_zeros() -> None:
    assert set(signal_features((NONE,) * 6)) == {0.0}


def test_inner_nodes_tell_how_much_arrives_and_by_what() -> None:
    inner = signal_features((CONV_3, POOL, SKIP, NONE, NONE, SKIP))[13:]
    assert inner[:4] == (1.0, 1.0, 1.0, 0.0)
    assert inner[4:] == (2.0, 0.5, 0.5, 0.5)
