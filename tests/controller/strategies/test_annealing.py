"""PaddleSlim's annealing fails in eight ways that were reproduced; those of the strategy are tests here."""

from collections.abc import Iterable
from random import Random

import pytest

from fleetnas_controller.strategies.annealing import SimulatedAnnealing
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space


def _told(strategy: SimulatedAnnealing, accuracies: Iterable[tuple[Architecture, float]]) -> None:
    for number, (one, accuracy) in enumerate(accuracies):
        strategy.tell(Outcome(number, one, accuracy), Random(number))


def test_a_fast_and_a_slow_client_share_a_search(tiny_space: SearchSpace) -> None:
    strategy, rng = SimulatedAnnealing(Problem(tiny_space)), Random(0)
    slow = strategy.ask([], rng)
    for number in range(1, 40):  # the slow client's answer comes forty trials later
        one = strategy.ask([slow], rng)
        assert one != slow
        strategy.tell(Outcome(number, one, float(sum(one.choices))), rng)
    strategy.tell(Outcome(0, slow, 99.0), rng)
    assert strategy.ask([], rng) != slow


def test_what_a_lost_client_took_is_offered_again(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space))
    lost = strategy.ask([], Random(0))
    others = []
    for number in range(1, 64):
        others.append(strategy.ask([lost], Random(number)))
        strategy.tell(Outcome(number, others[-1], 50.0), Random(number))
    assert strategy.ask([], Random(99)) == lost
    assert len(set(others)) == 63


def test_negative_rewards_have_a_best(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space), init_temperature=1e-3)
    slow, fast = tiny_space.parse("333"), tiny_space.parse("000")
    _told(strategy, [(slow, -40.0), (fast, -7.0), (tiny_space.parse("030"), -60.0)])
    assert sum(a != b for a, b in zip(strategy.ask([], Random(1)).choices, fast.choices, strict=True)) == 1


def test_temperature_may_underflow(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space, accuracy_noise=True), restart_after=10**9)
    one, worse = tiny_space.parse("000"), tiny_space.parse("333")
    _told(strategy, [(one, 90.0)] + [(worse, 80.0)] * 6_000)
    assert sum(choice > 0 for choice in strategy.ask([], Random(0)).choices) == 1


def test_tokens_may_be_long() -> None:
    problem = Problem(space("mobilenet-v2"))
    tokens = problem.space.format(problem.space.reference)
    strategy = SimulatedAnnealing(problem, init_tokens=tokens)
    assert strategy.ask([], Random(0)) == problem.space.reference


def test_exact_cap_is_kept_by_every_proposal(tiny_space: SearchSpace) -> None:
    start = tiny_space.parse("000")
    limit = macs(tiny_space.graph(tiny_space.parse("111")))
    strategy = SimulatedAnnealing(Problem(tiny_space, (Cap(CapKind.MACS, limit),)), init_tokens="000")
    one = strategy.ask([], Random(0))
    assert one == start
    for number in range(12):
        cost = macs(tiny_space.graph(one))
        assert cost <= limit
        strategy.tell(Outcome(number, one, 80.0 + number, macs=cost), Random(number))
        one = strategy.ask([], Random(number))


def test_a_cap_that_forbids_all_leads_to_the_nearest_miss(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space, (Cap(CapKind.MACS, 1),)))
    proposals = []
    for number in range(20):
        one = strategy.ask([], Random(number))
        proposals.append(one)
        strategy.tell(Outcome(number, one, 90.0, macs=macs(tiny_space.graph(one))), Random(number))
    assert tiny_space.parse("000") in proposals


def test_used_up_neighbourhood_does_not_end_the_search(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space), init_temperature=1e-6)
    seen = set()
    for number in range(64):
        one = strategy.ask([], Random(number))
        seen.add(one)
        strategy.tell(Outcome(number, one, -float(number)), Random(number))  # never moves from the start
    assert len(seen) == 64


def test_walk_returns_to_the_best_when_stuck(tiny_space: SearchSpace) -> None:
    strategy = SimulatedAnnealing(Problem(tiny_space), init_temperature=1e9, restart_after=4)
    best = tiny_space.parse("000")
    others = [tiny_space.parse(text) for text in ("333", "332", "323", "233")]
    _told(strategy, [(best, 90.0), *((one, 50.0) for one in others)])
    assert sum(choice > 0 for choice in strategy.ask([], Random(0)).choices) == 1


@pytest.mark.parametrize(
    "options",
    [{"init_temperature": 0.0}, {"reduce_rate": 1.0}, {"max_try_times": 0}, {"restart_after": 0}],
)
def test_unusable_parameters_are_refused(tiny_space: SearchSpace, options: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        SimulatedAnnealing(Problem(tiny_space), **options)  # type: ignore[arg-type]
