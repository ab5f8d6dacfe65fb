"""What every strategy promises; a user's own strategy may be added to the list."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from fleetnas_controller.strategies.registry import create_strategy, strategy_names
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Reading, Strategy
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs, params


class CountingUp:
    """A strategy as a user may write it: walks through the codes in order, whatever comes back."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._done: set[str] = set()

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        taken = self._done | {one.key for one in pending}
        choices = [0] * len(self._space.option_counts)
        while True:
            one = self._space.canonical(Architecture(self._space.name, tuple(choices), 8))
            if one.key not in taken:
                return one
            position = 0
            while position < len(choices) and choices[position] == self._space.option_counts[position] - 1:
                choices[position] = 0
                position += 1
            if position == len(choices):
                return one
            choices[position] += 1

    def tell(self, outcome: Outcome, rng: Random) -> None:
        self._done.add(outcome.architecture.key)


# The GP sampler imports torch and needs seconds for an ask; its own test is in test_optuna_study.py.
@pytest.fixture(params=[name for name in strategy_names() if name != "optuna-gp"] + ["a user's"])
def make(request: pytest.FixtureRequest) -> Callable[[Problem], Strategy]:
    if request.param == "a user's":
        return CountingUp
    return lambda problem: create_strategy(request.param, problem, budget=40)


def _accuracy(architecture: Architecture) -> float:
    first, second, third = architecture.choices
    return 90.0 + first - 0.5 * (second - 2) ** 2 + 0.3 * third


def _outcome(space: SearchSpace, number: int, one: Architecture, *, failed: bool = False) -> Outcome:
    graph = space.graph(one)
    latency_ms = 1.0 + 0.3 * sum(one.choices)
    return Outcome(
        number,
        one,
        None if failed else _accuracy(one),
        {} if failed else {"phone": Reading(latency_ms, 0.01 * latency_ms)},
        macs(graph),
        params(graph),
    )


def _run(strategy: Strategy, space: SearchSpace, count: int, batch: int = 1) -> list[Outcome]:
    """The search loop in small: asks a batch, tells it, with generators derived from the trial's number."""
    told: list[Outcome] = []
    while len(told) < count:
        pending: list[Architecture] = []
        for _ in range(batch):
            pending.append(strategy.ask(pending, Random(f"ask {len(told) + len(pending)}")))
        for one in pending:
            told.append(_outcome(space, len(told), one))
            strategy.tell(told[-1], Random(f"tell {told[-1].number}"))
    return told


def _problem(space: SearchSpace, *, noise: bool = False) -> Problem:
    return Problem(space, (Cap(CapKind.LATENCY_MS, 2.8, "phone"),), accuracy_noise=noise)


def test_proposals_are_canonical_members_of_the_space(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    for outcome in _run(make(_problem(tiny_space)), tiny_space, 20):
        one = outcome.architecture
        assert one == tiny_space.canonical(one)
        assert one.space == tiny_space.name
        assert all(0 <= c < n for c, n in zip(one.choices, tiny_space.option_counts, strict=True))


def test_same_generators_give_the_same_search(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    runs = [_run(make(_problem(tiny_space)), tiny_space, 20) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("noise", [False, True])
def test_killed_search_goes_on_as_the_unbroken_one(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace, noise: bool
) -> None:
    problem = _problem(tiny_space, noise=noise)
    whole = _run(make(problem), tiny_space, 32)
    for killed_after in (0, 1, 7, 13, 24, 31):
        resumed = make(problem)
        for outcome in whole[:killed_after]:
            resumed.tell(outcome, Random(f"tell {outcome.number}"))
        assert resumed.ask([], Random(f"ask {killed_after}")) == whole[killed_after].architecture


def test_an_ask_whose_result_never_comes_leaves_nothing_behind(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    problem = _problem(tiny_space)
    told = _run(make(problem), tiny_space, 16)
    calm, restless = make(problem), make(problem)
    for outcome in told:
        for number in range(3):
            restless.ask([], Random(number))
        calm.tell(outcome, Random(f"tell {outcome.number}"))
        restless.tell(outcome, Random(f"tell {outcome.number}"))
    assert restless.ask([], Random("next")) == calm.ask([], Random("next"))


def test_a_number_told_twice_counts_once(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    problem = _problem(tiny_space)
    told = _run(make(problem), tiny_space, 16)
    once, twice = make(problem), make(problem)
    for outcome in told:
        once.tell(outcome, Random(f"tell {outcome.number}"))
        twice.tell(outcome, Random(f"tell {outcome.number}"))
        twice.tell(outcome, Random("again"))
    assert twice.ask([], Random("next")) == once.ask([], Random("next"))


def test_batch_holds_no_duplicate(make: Callable[[Problem], Strategy], tiny_space: SearchSpace) -> None:
    told = _run(make(_problem(tiny_space, noise=True)), tiny_space, 32, batch=8)
    for start in range(0, 32, 8):
        keys = {outcome.architecture.key for outcome in told[start : start + 8]}
        assert len(keys) == 8


def test_exact_accuracies_are_not_asked_for_twice(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    told = _run(make(_problem(tiny_space)), tiny_space, 64)
    assert len({outcome.architecture.key for outcome in told}) == 64


def test_used_up_space_still_gets_an_answer(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    strategy = make(_problem(tiny_space))
    _run(strategy, tiny_space, 64)
    assert strategy.ask([], Random(0)).space == tiny_space.name


def test_failed_lost_foreign_and_late_trials_are_survived(
    make: Callable[[Problem], Strategy], tiny_space: SearchSpace
) -> None:
    strategy, rng = make(_problem(tiny_space)), Random(5)
    outcomes = []
    for number in range(30):
        asked = strategy.ask([], rng)
        one = tiny_space.sample(rng) if number % 5 == 1 else asked  # foreign: never proposed
        if number % 7 != 3:  # lost: never told
            outcomes.append(_outcome(tiny_space, number, one, failed=number % 6 == 2))
        if len(outcomes) == 3:  # late: told in another order
            for outcome in reversed(outcomes):
                strategy.tell(outcome, rng)
            outcomes.clear()
    assert strategy.ask([], rng).space == tiny_space.name
