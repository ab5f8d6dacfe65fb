from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from fleetnas_latency.choice_table import choice_table
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.fbnet import FBNet
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro

SPACE = NASBenchMacro()
COSTS_MS = np.random.default_rng(0).uniform(0.1, 2.0, (8, 3))


def _additive(networks: Sequence[Architecture]) -> np.ndarray:
    return np.array(
        [5.0 + sum(COSTS_MS[slot, digit] for slot, digit in enumerate(one.choices)) for one in networks]
    )


def test_latency_that_is_a_sum_over_decisions_is_given_back() -> None:
    table = choice_table(SPACE, _additive)
    assert table.costs_ms == pytest.approx(COSTS_MS - COSTS_MS[:, :1])
    assert table.constant_ms == pytest.approx(5.0 + COSTS_MS[:, 0].sum())
    assert table.error < 1e-9


def test_one_hot_probabilities_give_the_latency_of_that_network() -> None:
    table = choice_table(SPACE, _additive)
    one = SPACE.sample(Random(3))
    probabilities = np.zeros_like(table.costs_ms)
    probabilities[np.arange(8), one.choices] = 1.0
    expected = _additive([one])[0]
    assert table.constant_ms + (probabilities * table.costs_ms).sum() == pytest.approx(expected)


def test_decisions_that_depend_on_each_other_leave_an_error() -> None:
    def product(networks: Sequence[Architecture]) -> np.ndarray:
        return np.array([1.0 + one.choices[0] * one.choices[1] for one in networks])

    assert choice_table(SPACE, product).error > 0.05


def test_larger_space_has_its_own_shape() -> None:
    table = choice_table(FBNet(), lambda networks: np.array([1.0 + one.choices[0] for one in networks]))
    assert table.costs_ms.shape == (22, 9)
    assert table.costs_ms[0] == pytest.approx(np.arange(9.0))
    assert table.costs_ms[1:] == pytest.approx(0.0)
