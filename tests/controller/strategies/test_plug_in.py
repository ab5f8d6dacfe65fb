from random import Random
from typing import Any

import pytest

from fleetnas_controller.strategies.plug_in import guarded
from fleetnas_controller.strategies.strategy import Outcome, Ranks
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro

SPACE = NASBenchMacro()
ARCHITECTURE = SPACE.canonical(SPACE.reference)
FOREIGN = Architecture("tiny", (1, 2), 8)


class Mine:
    """Does as it is told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def ask(self, pending: object, rng: Random) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def tell(self, outcome: Outcome, rng: Random) -> None:
        raise ZeroDivisionError("by none")


class Ranking(Mine):
    def rank(self) -> Any:
        return [self.answer]


def test_good_answer_passes() -> None:
    assert guarded("mine", Mine(ARCHITECTURE), SPACE).ask((), Random(0)) == ARCHITECTURE


@pytest.mark.parametrize(
    ("answer", "said"),
    [(KeyError("a\nb"), "KeyError"), (None, "NoneType is no Arch"), (FOREIGN, "belongs to")],
)
def test_what_breaks_in_it_is_named_in_one_line(answer: Any, said: str) -> None:
    with pytest.raises(
        FailedPreconditionError, match=f"strategy 'mine' fails in ask with .*{said}"
    ) as caught:
        guarded("mine", Mine(answer), SPACE).ask((), Random(0))
    assert "\n" not in str(caught.value)


def test_telling_and_ranking_are_guarded_too() -> None:
    strategy = guarded("mine", Ranking(None), SPACE)
    assert isinstance(strategy, Ranks)
    with pytest.raises(FailedPreconditionError, match="fails in rank"):
        strategy.rank()
    with pytest.raises(FailedPreconditionError, match="fails in tell with ZeroDivisionError"):
        strategy.tell(Outcome(0, ARCHITECTURE, None), Random(0))


def test_it_ranks_only_if_the_strategy_does() -> None:
    assert not isinstance(guarded("mine", Mine(ARCHITECTURE), SPACE), Ranks)
