from random import Random

import pytest

from fleetnas_controller.strategies.evolution import RegularizedEvolution
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError


def test_the_old_die_however_good_they_are(tiny_space: SearchSpace) -> None:
    strategy = RegularizedEvolution(Problem(tiny_space), population_size=2, tournament_size=2)
    told = [("000", 99.0), ("333", 10.0), ("332", 20.0)]
    for number, (text, accuracy) in enumerate(told):
        strategy.tell(Outcome(number, tiny_space.parse(text), accuracy), Random(number))
    child = strategy.ask([], Random(0)).choices
    assert sum(a != b for a, b in zip(child, (3, 3, 2), strict=True)) == 1


def test_the_reference_comes_first(tiny_space: SearchSpace) -> None:
    assert RegularizedEvolution(Problem(tiny_space)).ask([], Random(0)) == tiny_space.reference


@pytest.mark.parametrize("name", ["population_size", "tournament_size"])
def test_sizes_under_one_are_refused(tiny_space: SearchSpace, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"{name}( is)? 0"):
        RegularizedEvolution(Problem(tiny_space), **{name: 0})
