from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

import numpy as np
import pytest

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.plug_in import guarded_space


class Fickle(NASBenchMacro):
    """Gives another graph at each call."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = count()

    def graph(self, architecture: Architecture) -> Graph:
        return super().graph(self.sample(Random(next(self._calls))))


class Endless(NASBenchMacro):
    """Has features that are no numbers."""

    def features(self, architectures: Sequence[Architecture]) -> Any:
        return np.full((len(architectures), 3), np.nan)


class Broken(NASBenchMacro):
    """Fails on everything but its reference."""

    def graph(self, architecture: Architecture) -> Graph:
        if architecture == self.reference:
            return super().graph(architecture)
        raise IndexError("no\nluck")

    def features(self, architectures: Sequence[Architecture]) -> Any:
        return np.zeros((len(architectures), 1))


def test_good_space_is_as_it_was() -> None:
    space, guarded = NASBenchMacro(), guarded_space("mine", NASBenchMacro())
    assert isinstance(guarded, SearchSpace)
    drawn = guarded.sample(Random(1))
    assert drawn == space.sample(Random(1))
    assert guarded.graph(drawn) == space.graph(drawn)
    assert np.array_equal(guarded.features([drawn]), space.features([drawn]))
    with pytest.raises(InvalidArgumentError):
        guarded.parse("nonsense")


@pytest.mark.parametrize(
    ("space", "says"), [(Fickle, "graph with two graphs"), (Endless, "features with shape")]
)
def test_space_that_lies_is_named_at_once(space: type[NASBenchMacro], says: str) -> None:
    with pytest.raises(FailedPreconditionError, match=f"search space 'mine' fails in {says}"):
        guarded_space("mine", space())


def test_space_that_fails_later_is_named_then() -> None:
    guarded = guarded_space("mine", Broken())
    with pytest.raises(FailedPreconditionError, match="'mine' fails in graph with IndexError: no luck"):
        guarded.graph(guarded.parse("00000000"))
