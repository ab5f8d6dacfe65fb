"""Caps through the whole search loop, on a fleet that answers at once."""

from typing import Any

import pytest

from fleetnas_controller.strategies.objective import price_points
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Outcome, Problem, Reading, SoftCap
from fleetnas_controller.trials import TrialPhase
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.memory import model_bytes, peak_memory_bytes


def _priced(text: str) -> float:
    """Accuracy less a point and a half for each millisecond over 2 ms, of the tests' made-up device."""
    first, second, third = map(int, text)
    accuracy = 90.0 + first - 0.5 * (second - 2) ** 2 + 0.3 * third
    reading = Reading(1.0 + 0.3 * (first + second + third))
    outcome = Outcome(0, Architecture("tiny", (0, 0, 0), 8), accuracy, {"near": reading})
    return accuracy - (price_points(outcome, (SoftCap("near", 2.0, 1.5),)) or 0.0)


@pytest.mark.parametrize("strategy", ["predictor", "evolution", "optuna-tpe"])
def test_soft_cap_is_exceeded_where_accuracy_pays_for_it(searching: Any, strategy: str) -> None:
    outcome = searching.run("one", strategy=strategy, soft_latency_ms=2.0, soft_price=1.5, budget=44)
    codes = [f"{a}{b}{c}" for a in range(4) for b in range(4) for c in range(4)]
    evaluated = {one.architecture for one in outcome.trials}
    assert outcome.ranking[0] == max(evaluated, key=_priced)
    assert _priced(outcome.found) >= sorted(map(_priced, codes))[-4]


def test_predictor_finds_the_best_of_a_priced_space_in_a_third_of_it(searching: Any) -> None:
    outcome = searching.run("one", soft_latency_ms=2.0, soft_price=1.5, budget=24)
    codes = [f"{a}{b}{c}" for a in range(4) for b in range(4) for c in range(4)]
    assert _priced(outcome.found) == pytest.approx(max(map(_priced, codes)))


@pytest.mark.parametrize("strategy", ["predictor", "random", "annealing", "local-search", "optuna-nsga2"])
@pytest.mark.parametrize(
    ("cap", "count"), [("max_model_bytes", model_bytes), ("max_memory_bytes", peak_memory_bytes)]
)
def test_caps_on_bytes_are_kept_before_anything_is_measured(
    searching: Any, strategy: str, cap: str, count: Any
) -> None:
    space: SearchSpace = searching.space
    limit = count(space.graph(space.parse("111")))
    outcome = searching.run("one", strategy=strategy, budget=12, **{cap: limit})
    proposed = [one for one in outcome.trials if one.phase is TrialPhase.SEARCH]
    assert len(proposed) == 10
    assert all(count(space.graph(space.parse(one.architecture))) <= limit for one in proposed)
    assert outcome.found is not None


def test_architecture_to_start_from_must_keep_the_exact_caps(searching: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="'333' to start from|'332' to start from"):
        searching.run("one", start_from=("332",), max_params=10)


def test_a_front_has_no_price(tiny_space: SearchSpace) -> None:
    from fleetnas_controller.strategies.strategy import CapKind, Cost

    problem = Problem(tiny_space, costs=(Cost(CapKind.PARAMS),), soft=(SoftCap("near", 2.0, 1.0),))
    with pytest.raises(InvalidArgumentError, match="leave the soft latency or the objectives out"):
        create_strategy("predictor", problem)


def test_a_soft_latency_comes_with_its_price(searching: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="give both, or none"):
        searching.run("one", soft_latency_ms=2.0)
