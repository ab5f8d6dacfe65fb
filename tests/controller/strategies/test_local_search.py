from random import Random

import pytest

from fleetnas_controller.strategies.local_search import LocalSearch
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError


def _distance(left: Architecture, right: Architecture) -> int:
    return sum(a != b for a, b in zip(left.choices, right.choices, strict=True))


def _told(strategy: LocalSearch, space: SearchSpace, *trials: tuple[str, float]) -> LocalSearch:
    for number, (text, accuracy) in enumerate(trials):
        strategy.tell(Outcome(number, space.parse(text), accuracy), Random(number))
    return strategy


def test_next_proposal_is_a_neighbour_of_the_best_so_far(tiny_space: SearchSpace) -> None:
    trials = (("333", 80.0), ("323", 85.0), ("322", 70.0))
    strategy = _told(LocalSearch(Problem(tiny_space)), tiny_space, *trials)
    for seed in range(20):
        assert _distance(strategy.ask([], Random(seed)), tiny_space.parse("323")) == 1


def test_a_climb_without_a_step_up_ends_and_another_starts_elsewhere(tiny_space: SearchSpace) -> None:
    trials = (("333", 80.0), ("323", 70.0), ("332", 70.0))
    strategy = _told(LocalSearch(Problem(tiny_space), restart_after=2), tiny_space, *trials)
    proposals = [strategy.ask([], Random(seed)) for seed in range(30)]
    assert max(_distance(one, tiny_space.parse("333")) for one in proposals) == 3
    strategy.tell(Outcome(3, tiny_space.parse("000"), 10.0), Random(0))  # worse, but the start of a new climb
    assert _distance(strategy.ask([], Random(0)), tiny_space.parse("000")) == 1


def test_top_of_one_hill_is_found(tiny_space: SearchSpace) -> None:
    strategy = LocalSearch(Problem(tiny_space))
    values = []
    for number in range(30):
        one = strategy.ask([], Random(f"ask {number}"))
        values.append(90.0 - sum((choice - 1) ** 2 for choice in one.choices))
        strategy.tell(Outcome(number, one, values[-1]), Random(number))
    assert max(values) == 90.0


def test_negative_patience_is_refused(tiny_space: SearchSpace) -> None:
    with pytest.raises(InvalidArgumentError, match="restart_after is -1"):
        LocalSearch(Problem(tiny_space), restart_after=-1)
