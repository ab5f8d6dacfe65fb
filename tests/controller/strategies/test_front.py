from random import Random

import numpy as np
import pytest

from fleetnas_controller.strategies.hypervolume import hypervolume
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import (
    Cap,
    CapKind,
    Cost,
    Outcome,
    Problem,
    Ranks,
    Reading,
    Strategy,
)
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of

_LATENCY = Cost(CapKind.LATENCY_MS, "phone", worst=4.0)


def _accuracy(one: Architecture) -> float:
    first, second, third = one.choices
    return 90.0 + first - 0.5 * (second - 2) ** 2 + 0.3 * third


def _latency_ms(one: Architecture) -> float:
    return 1.0 + 0.3 * sum(one.choices)


def _run(strategy: Strategy, space: SearchSpace, count: int, batch: int = 1) -> list[Outcome]:
    told: list[Outcome] = []
    while len(told) < count:
        pending: list[Architecture] = []
        for _ in range(batch):
            pending.append(strategy.ask(pending, Random(f"ask {len(told) + len(pending)}")))
        for one in pending:
            graph, reading = space.graph(one), Reading(_latency_ms(one), 0.01)
            told.append(
                Outcome(len(told), one, _accuracy(one), {"phone": reading}, macs(graph), params(graph))
            )
            strategy.tell(told[-1], Random(f"tell {len(told)}"))
    return told


def _share(told: list[Outcome], space: SearchSpace) -> float:
    def points(networks: list[Architecture]) -> float:
        values = np.array([[100.0 - _accuracy(one), _latency_ms(one)] for one in networks])
        return hypervolume(values, np.array([15.0, 4.0]))

    return points([one.architecture for one in told]) / points(list(canonical_members(space, 100) or ()))


@pytest.mark.parametrize("batch", [1, 4])
def test_most_of_the_front_is_found_with_a_third_of_the_space(tiny_space: SearchSpace, batch: int) -> None:
    problem = Problem(tiny_space, costs=(_LATENCY,), worst_accuracy=85.0)
    told = _run(create_strategy("predictor", problem), tiny_space, 20, batch)
    assert _share(told, tiny_space) > 0.97


def test_front_comes_first_in_the_ranking_by_accuracy(tiny_space: SearchSpace) -> None:
    strategy = create_strategy("predictor", Problem(tiny_space, costs=(_LATENCY,)))
    told = _run(strategy, tiny_space, 24)
    assert isinstance(strategy, Ranks)
    ranked = list(strategy.rank())
    assert {one.key for one in ranked} == {one.architecture.key for one in told}
    best = max(_accuracy(one.architecture) for one in told)
    assert _accuracy(ranked[0]) == pytest.approx(best)
    assert _latency_ms(ranked[1]) < _latency_ms(ranked[0])


def test_a_front_under_a_cap_stays_under_it(tiny_space: SearchSpace) -> None:
    cap = Cap(CapKind.LATENCY_MS, 2.0, "phone")
    strategy = create_strategy("predictor", Problem(tiny_space, (cap,), costs=(_LATENCY,)))
    told = _run(strategy, tiny_space, 24)
    assert sum(_latency_ms(one.architecture) > 2.05 for one in told[12:]) <= 2
    assert isinstance(strategy, Ranks)
    assert _latency_ms(strategy.rank()[0]) <= 2.0


def test_three_objectives_with_an_exact_one_are_searched(tiny_space: SearchSpace) -> None:
    costs = (_LATENCY, Cost(CapKind.PARAMS))
    told = _run(create_strategy("predictor", Problem(tiny_space, costs=costs)), tiny_space, 24)
    assert len({one.architecture.key for one in told}) == 24
    assert _share(told, tiny_space) > 0.9


def test_a_front_in_a_space_too_big_to_list_is_resumed_exactly() -> None:
    big = space_of("mobilenet-v2")
    problem = Problem(big, costs=(Cost(CapKind.MACS),))
    whole, resumed = create_strategy("predictor", problem), create_strategy("predictor", problem)
    told: list[Outcome] = []
    for number in range(16):
        one = whole.ask([], Random(f"ask {number}"))
        cost = macs(big.graph(one))
        told.append(Outcome(number, one, 75.0 - 2e9 / cost, macs=cost))
        whole.tell(told[-1], Random(f"tell {number}"))
        if number < 15:
            resumed.tell(told[-1], Random(f"tell {number}"))
    assert resumed.ask([], Random("ask 15")) == told[15].architecture


@pytest.mark.parametrize("name", ["predictor", "random", "optuna-nsga2", "optuna-nsga3", "optuna-tpe"])
def test_strategies_that_know_fronts_survive_trials_without_latency(
    tiny_space: SearchSpace, name: str
) -> None:
    strategy = create_strategy(name, Problem(tiny_space, costs=(_LATENCY,)))
    for number in range(30):
        one = strategy.ask([], Random(f"ask {number}"))
        readings = {} if number % 5 == 2 else {"phone": Reading(_latency_ms(one))}
        strategy.tell(Outcome(number, one, _accuracy(one), readings), Random(f"tell {number}"))
    assert strategy.ask([], Random("next")).space == tiny_space.name


@pytest.mark.parametrize("name", ["annealing", "evolution", "local-search", "optuna-cmaes"])
def test_strategies_that_find_one_network_refuse_a_front(tiny_space: SearchSpace, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="finds one network, not a front"):
        create_strategy(name, Problem(tiny_space, costs=(_LATENCY,)))


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ((Cost(CapKind.LATENCY_MS),), "no device is named"),
        ((Cost(CapKind.MACS, worst=0.0),), "the worst macs is 0"),
        ((Cost(CapKind.MACS), Cost(CapKind.MACS, worst=1.0)), "name each only once"),
    ],
)
def test_unusable_axes_are_refused(tiny_space: SearchSpace, costs: tuple[Cost, ...], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        create_strategy("predictor", Problem(tiny_space, costs=costs))
