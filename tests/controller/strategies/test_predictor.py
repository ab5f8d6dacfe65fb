from random import Random

import pytest

from fleetnas_controller.strategies.predictor import PredictorSearch
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Ranks, Reading
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_source import accuracy_source

_PHONE = Cap(CapKind.LATENCY_MS, 2.8, "phone")


def _accuracy(one: Architecture) -> float:
    first, second, third = one.choices
    return 90.0 + first - 0.5 * (second - 2) ** 2 + 0.3 * third


def _latency_ms(one: Architecture) -> float:
    return 1.0 + 0.3 * sum(one.choices)


def _search(strategy: PredictorSearch, space: SearchSpace, count: int) -> list[Outcome]:
    told = []
    for number in range(count):
        one = strategy.ask([], Random(f"ask {number}"))
        reading = Reading(_latency_ms(one), 0.01)
        graph = space.graph(one)
        told.append(
            Outcome(number, one, _accuracy(one), {"phone": reading}, macs=macs(graph), params=params(graph))
        )
        strategy.tell(told[-1], Random(f"tell {number}"))
    return told


@pytest.mark.parametrize("latency_model", ["blocks", "features"])
def test_best_under_the_cap_is_found_with_a_third_of_the_space(
    tiny_space: SearchSpace, latency_model: str
) -> None:
    strategy = PredictorSearch(Problem(tiny_space, (_PHONE,)), latency_model=latency_model)
    _search(strategy, tiny_space, 22)
    assert _accuracy(strategy.rank()[0]) == pytest.approx(93.0)  # 3,1..2,0..1: the best of all under the cap
    assert _latency_ms(strategy.rank()[0]) <= 2.8


def test_ranking_holds_the_evaluated_and_those_over_the_cap_last(tiny_space: SearchSpace) -> None:
    strategy = PredictorSearch(Problem(tiny_space, (_PHONE,)))
    told = _search(strategy, tiny_space, 32)
    ranked = strategy.rank()
    assert isinstance(strategy, Ranks)
    assert {one.key for one in ranked} == {outcome.architecture.key for outcome in told}
    over = [_latency_ms(one) > 2.8 for one in ranked]
    assert not over[0]
    assert over == sorted(over)


def test_a_lucky_training_is_not_the_answer(tiny_space: SearchSpace) -> None:
    strategy = PredictorSearch(Problem(tiny_space, accuracy_noise=True))
    number = 0
    for text in ("333", "000", "303", "030", "321", "123", "222", "112", "211", "332", "013", "310"):
        for extra in (-0.1, 0.1):
            one = tiny_space.parse(text)
            strategy.tell(Outcome(number, one, _accuracy(one) + extra), Random(number))
            number += 1
    lucky = tiny_space.parse("323")  # truly 93.9; 333 has 93.4 and was seen at 93.5
    unlucky = tiny_space.parse("133")  # truly 91.4, one training came out at 93.95
    strategy.tell(Outcome(number, unlucky, 93.95), Random(0))
    strategy.tell(Outcome(number + 1, lucky, 93.9), Random(0))
    assert strategy.rank()[0] == lucky


def test_last_part_of_a_known_budget_goes_to_second_looks(tiny_space: SearchSpace) -> None:
    strategy = PredictorSearch(Problem(tiny_space, accuracy_noise=True), budget=30, last_share=0.2)
    keys = [outcome.architecture.key for outcome in _search(strategy, tiny_space, 30)]
    assert set(keys[24:]) <= set(keys[:24])


def test_exact_caps_are_kept_by_every_proposal(tiny_space: SearchSpace) -> None:
    limit = macs(tiny_space.graph(tiny_space.parse("222")))
    strategy = PredictorSearch(Problem(tiny_space, (Cap(CapKind.MACS, limit),)))
    told = _search(strategy, tiny_space, 20)
    assert all(outcome.macs <= limit for outcome in told[1:])  # the first is the reference, for comparison


def test_a_device_that_never_answers_does_not_stop_the_search(tiny_space: SearchSpace) -> None:
    strategy = PredictorSearch(Problem(tiny_space, (Cap(CapKind.LATENCY_MS, 5.0, "lost"),)))
    assert len({outcome.architecture.key for outcome in _search(strategy, tiny_space, 20)}) == 20


def test_failed_trials_teach_their_latency(tiny_space: SearchSpace) -> None:
    strategy = PredictorSearch(Problem(tiny_space, (_PHONE,)))
    for number in range(15):
        one = strategy.ask([], Random(number))
        reading = {"phone": Reading(_latency_ms(one), 0.01)}
        strategy.tell(Outcome(number, one, None, reading), Random(number))
    assert strategy.rank() == []


def test_a_space_too_big_to_list_is_searched_and_resumed_exactly() -> None:
    big = space("mobilenet-v2")
    problem = Problem(big, (Cap(CapKind.MACS, 280e6),), accuracy_noise=True)
    whole, resumed = PredictorSearch(problem), PredictorSearch(problem)
    told = []
    for number in range(17):
        one = whole.ask([], Random(f"ask {number}"))
        graph = big.graph(one)
        cost = macs(graph)
        accuracy = 75.0 - 2e9 / cost
        told.append(Outcome(number, one, accuracy, macs=cost, params=params(graph)))
        whole.tell(told[-1], Random(f"tell {number}"))
        if number < 16:
            resumed.tell(told[-1], Random(f"tell {number}"))
    assert resumed.ask([], Random("ask 16")) == told[16].architecture
    assert all(outcome.macs <= 280e6 for outcome in told[1:])
    assert max(outcome.macs for outcome in told[12:]) > 0.95 * 280e6


def test_a_hundred_noisy_trainings_come_near_the_best_of_the_published_table() -> None:
    macro = space("nas-bench-macro")
    noisy, true = accuracy_source("table:nas-bench-macro:single"), accuracy_source("table:nas-bench-macro")
    strategy = PredictorSearch(Problem(macro, accuracy_noise=True), budget=100)
    for number in range(100):
        one = strategy.ask([], Random(f"ask {number}"))
        strategy.tell(Outcome(number, one, noisy.evaluate(one, number).value_percent), Random(number))
    assert true.evaluate(strategy.rank()[0], 0).value_percent > 93.13 - 0.12


def test_unusable_options_are_refused(tiny_space: SearchSpace) -> None:
    with pytest.raises(InvalidArgumentError, match="initial_count is 1"):
        PredictorSearch(Problem(tiny_space), initial_count=1)
    with pytest.raises(InvalidArgumentError, match=r"last_share is 1\.5"):
        PredictorSearch(Problem(tiny_space), last_share=1.5)
    with pytest.raises(NotFoundError, match="did you mean 'blocks'"):
        PredictorSearch(Problem(tiny_space), latency_model="block")


def test_accuracies_of_an_earlier_search_spare_evaluations_and_none_of_the_budget(
    tiny_space: SearchSpace,
) -> None:
    members = [tiny_space.parse(f"{a}{b}{c}") for a in range(4) for b in range(4) for c in range(4)]
    problem = Problem(tiny_space, (_PHONE,))
    informed = PredictorSearch(problem, budget=14, last_share=0.0, initial_count=4)
    for number, one in enumerate(members):
        informed.learn(Outcome(1000 + number, one, _accuracy(one)), Random(number))
    assert informed.rank() == []  # no latency is known of any
    _search(informed, tiny_space, 14)
    assert _accuracy(informed.rank()[0]) == pytest.approx(93.0)


def test_whole_trials_of_an_earlier_search_count_as_evaluated(tiny_space: SearchSpace) -> None:
    problem = Problem(tiny_space, (_PHONE,))
    earlier = PredictorSearch(problem)
    told = _search(earlier, tiny_space, 20)
    later = PredictorSearch(problem)
    for outcome in told:
        later.learn(outcome, Random(0))
    assert later.rank()[0] == earlier.rank()[0]
    assert later.ask([], Random(1)).key not in {one.architecture.key for one in told}
