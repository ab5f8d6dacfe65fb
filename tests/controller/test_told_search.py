"""Searches whose architectures a client evaluates, without a network."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from fleetnas_controller.fleet_store import SqliteFleetStore, open_fleet_store
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import SearchInfo, SearchState, ToldLatency
from fleetnas_controller.search_runner import Ended
from fleetnas_controller.search_store import SqliteSearchStore
from fleetnas_controller.searches import SearchBook
from fleetnas_controller.told_search import ToldSearch
from fleetnas_controller.trials import TrialState
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from fleetnas_search_spaces.registry import space

CONFIG = SearchConfig("s", "nas-bench-macro", "evolution", "client", ("phone",), budget=30, seed=3)
RUN = replace(CONFIG, name="r", accuracy="table:nas-bench-macro")


class Runner:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    def submit(self, config: SearchConfig) -> None:
        self.submitted.append(config.name)

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)


class World:
    """A book of searches; ``restart`` is what a kill and a new start leave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.restart()

    def restart(self) -> None:
        self.fleet_store = open_fleet_store(self._folder / "store.db")
        self.store = SqliteSearchStore(self.fleet_store.database)
        self.runner = Runner()
        self.book = SearchBook(self.store, self.runner, self._folder / "runs", lambda: 100.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def told() -> Iterator[Callable[..., ToldSearch]]:
    store = SqliteFleetStore(Database(memory=True))

    def make(**fields: Any) -> ToldSearch:
        config = replace(CONFIG, **fields)
        return ToldSearch(config, space(config.space), SqliteSearchStore(store.database), lambda: 100.0)

    yield make
    store.close()


Make = Callable[..., ToldSearch]


def test_each_proposal_is_a_trial_of_its_own(told: Make) -> None:
    search = told()
    trials = [search.propose() for _ in range(5)]
    assert [one.number for one in trials] == [0, 1, 2, 3, 4]
    assert len({one.architecture for one in trials}) == 5


def test_worker_that_comes_back_gets_its_trial_again(told: Make) -> None:
    search = told()
    first = search.propose("gpu-1")
    assert search.propose("gpu-1") == first
    assert search.propose("gpu-2").number == 1
    search.tell(first.number, 90.0)
    assert search.propose("gpu-1").number == 2


def test_telling_twice_is_telling_once(told: Make) -> None:
    search = told()
    number = search.propose().number
    assert search.tell(number, 90.0).accuracy == 90.0
    assert search.tell(number, 12.0).accuracy == 90.0
    assert search.ended_count == 1


def test_trial_that_could_not_be_evaluated_is_failed(told: Make) -> None:
    search = told()
    trial = search.tell(search.propose().number, None, fault="out of memory")
    assert (trial.state, trial.fault) == (TrialState.FAILED, "out of memory")


def test_unknown_trial_is_named(told: Make) -> None:
    with pytest.raises(NotFoundError, match="no trial 7, it has 0"):
        told().tell(7, 90.0)


@pytest.mark.parametrize("accuracy", [float("nan"), float("inf"), -1.0, 100.1])
def test_accuracy_that_is_no_percentage_changes_nothing(told: Make, accuracy: float) -> None:
    search = told()
    number = search.propose().number
    with pytest.raises(InvalidArgumentError, match="percentage"):
        search.tell(number, accuracy)
    assert search.tell(number, 50.0).accuracy == 50.0


def test_neither_accuracy_nor_fault_is_refused(told: Make) -> None:
    search = told()
    with pytest.raises(InvalidArgumentError, match="neither"):
        search.tell(search.propose().number, None)


def test_latency_cap_needs_a_latency_and_takes_one(told: Make) -> None:
    search = told(max_latency_ms=2.0)
    number = search.propose().number
    with pytest.raises(FailedPreconditionError, match="no latency on phone"):
        search.tell(number, 90.0)
    with pytest.raises(InvalidArgumentError, match="about phone"):
        search.tell(number, 90.0, [ToldLatency("tablet", 1.0)])
    with pytest.raises(InvalidArgumentError, match="above zero"):
        search.tell(number, 90.0, [ToldLatency("phone", -1.0)])
    assert search.tell(number, 90.0, [ToldLatency("phone", 1.5, 0.1)]).latencies[0].latency_ms == 1.5


def test_counts_are_there_where_a_cap_needs_them(told: Make) -> None:
    assert told().propose().macs is None
    trial = told(name="capped", max_macs=1e9).propose()
    assert trial.macs is not None
    assert trial.macs > 1e6


def test_relative_cap_is_refused(told: Make) -> None:
    with pytest.raises(InvalidArgumentError, match="max_latency_ms"):
        told(latency_drop=0.2)


def test_budget_is_kept(told: Make) -> None:
    search = told(budget=4)
    numbers = [search.propose().number for _ in range(4)]
    with pytest.raises(ResourceExhaustedError, match="whole budget of 4"):
        search.propose()
    for number in numbers:
        search.tell(number, 90.0)
    assert search.complete


@pytest.mark.parametrize("strategy", ["evolution", "annealing", "random"])
def test_search_that_was_cut_goes_on_as_the_unbroken_one(told: Make, strategy: str) -> None:
    whole, cut = told(name="whole", strategy=strategy), told(name="cut", strategy=strategy)
    for step in range(20):
        first, second = whole.propose("w"), cut.propose("w")
        assert first.architecture == second.architecture
        accuracy = 80.0 + sum(map(int, first.architecture)) % 7
        if step % 3:
            whole.tell(first.number, accuracy)
            cut.tell(second.number, accuracy)
        cut = told(name="cut", strategy=strategy)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("propose"), st.sampled_from(["", "a", "b"])),
            st.tuples(st.just("tell"), st.integers(-2, 12)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_no_order_of_calls_loses_or_doubles_a_trial(steps: list[tuple[str, Any]]) -> None:
    store = SqliteSearchStore(SqliteFleetStore(Database(memory=True)).database)
    config = replace(CONFIG, strategy="random", budget=10)

    def opened() -> ToldSearch:
        return ToldSearch(config, space(config.space), store, lambda: 100.0)

    search, proposed, ended = opened(), set[int](), dict[int, float]()
    for index, (step, value) in enumerate(steps):
        if step == "restart":
            search = opened()
        elif step == "propose":
            try:
                proposed.add(search.propose(value).number)
            except ResourceExhaustedError:
                assert len(proposed) == 10
        elif value in proposed:
            ended.setdefault(value, float(index))
            assert search.tell(value, float(index)).accuracy == ended[value]
        else:
            with pytest.raises(NotFoundError):
                search.tell(value, 1.0)
    stored = store.trials("searches/s")
    assert {one.number for one in stored} == proposed == set(range(len(proposed)))
    assert {one.number: one.accuracy for one in stored if one.order >= 0} == ended
    assert sorted(one.order for one in stored if one.order >= 0) == list(range(len(ended)))


# The book


def test_search_for_a_client_is_open(world: World) -> None:
    search = world.book.create(CONFIG)
    assert (search.name, search.state) == ("searches/s", SearchState.OPEN)
    assert world.runner.submitted == []


def test_search_of_the_controller_waits_for_the_runner(world: World) -> None:
    assert world.book.create(RUN).state is SearchState.QUEUED
    assert world.runner.submitted == ["r"]
    world.book.started("r")
    assert world.book.get("r").state is SearchState.RUNNING


def test_creating_twice_is_creating_once(world: World) -> None:
    world.book.create(CONFIG)
    world.book.propose("s")
    assert world.book.create(CONFIG).trial_count == 1
    with pytest.raises(AlreadyExistsError, match="another seed"):
        world.book.create(replace(CONFIG, seed=4))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"space": "none"}, NotFoundError),
        ({"strategy": "none"}, NotFoundError),
        ({"name": "../up"}, InvalidArgumentError),
        ({"accuracy": "none"}, NotFoundError),
        ({"strategy_options": {"none": "1"}}, InvalidArgumentError),
    ],
)
def test_setting_that_cannot_be_used_leaves_nothing(
    world: World, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        world.book.create(replace(CONFIG, **fields))
    assert world.book.list(10, "").items == ()


def test_search_is_finished_with_its_budget(world: World) -> None:
    world.book.create(replace(CONFIG, budget=4))
    for _ in range(4):
        world.book.tell("s", world.book.propose("s").number, 90.0, (), "")
    done = world.book.get("s")
    assert (done.state, done.ended_count) == (SearchState.FINISHED, 4)
    with pytest.raises(FailedPreconditionError, match="it has ended"):
        world.book.propose("s")


def test_controllers_own_search_takes_no_proposals(world: World) -> None:
    world.book.create(RUN)
    with pytest.raises(FailedPreconditionError, match="do not come from a client"):
        world.book.propose("r")


def test_cancelled_search_keeps_its_trials(world: World) -> None:
    world.book.create(CONFIG)
    world.book.propose("s")
    assert world.book.cancel("s").state is SearchState.CANCELLED
    assert world.book.cancel("s").trial_count == 1
    with pytest.raises(FailedPreconditionError, match="it has ended"):
        world.book.tell("s", 0, 90.0, (), "")


def test_cancelling_tells_the_runner(world: World) -> None:
    world.book.create(RUN)
    world.book.cancel("r")
    assert world.runner.cancelled == ["r"]


def test_worker_of_a_cancelled_search_changes_nothing(world: World) -> None:
    world.book.create(RUN)
    world.book.cancel("r")
    world.book.started("r")
    world.book.ended(Ended("r", reason="killed"))
    assert world.book.get("r").reason == "cancelled by an operator"


def test_end_of_a_worker_is_the_end_of_the_search(world: World) -> None:
    world.book.create(RUN)
    world.book.ended(Ended("r", result_json='{"found": null}'))
    done = world.book.get("r")
    assert (done.state, done.result_json) == (SearchState.FINISHED, '{"found": null}')
    assert "no confirmed architecture" in done.reason
    with pytest.raises(FailedPreconditionError, match="finished"):
        world.book.cancel("r")
    world.book.create(replace(RUN, name="r2"))
    world.book.ended(Ended("r2", reason="no device 'phone' in the fleet"))
    assert (world.book.get("r2").state, world.book.get("r2").reason) == (
        SearchState.FAILED,
        "no device 'phone' in the fleet",
    )


def test_controller_that_was_killed_goes_on_with_every_search(world: World) -> None:
    world.book.create(CONFIG)
    trial = world.book.propose("s", "gpu-1")
    world.book.create(RUN)
    world.book.started("r")
    world.restart()
    assert world.runner.submitted == ["r"]
    assert world.book.propose("s", "gpu-1") == trial
    assert world.book.tell("s", trial.number, 90.0, (), "").state is TrialState.FINISHED


def test_lists_come_in_pages(world: World) -> None:
    for name in ("a", "c", "b"):
        world.book.create(replace(CONFIG, name=name))
    first = world.book.list(2, "")
    second = world.book.list(2, first.next_page_token)
    assert [one.config.name for one in (*first.items, *second.items)] == ["a", "b", "c"]
    assert second.next_page_token == ""
    for _ in range(3):
        world.book.propose("a")
    trials = world.book.list_trials("a", 2, "")
    assert [one.number for one in trials.items] == [0, 1]
    assert [one.number for one in world.book.list_trials("a", 2, trials.next_page_token).items] == [2]
    with pytest.raises(InvalidArgumentError, match="page_token"):
        world.book.list_trials("a", 2, "x")


def test_changes_are_new_trials_and_those_that_ended_since(world: World) -> None:
    world.book.create(CONFIG)
    for _ in range(3):
        world.book.propose("s")
    assert [one.number for one in world.book.changed_trials("s", -1, -1)] == [0, 1, 2]
    assert world.book.changed_trials("s", 2, -1) == ()
    world.book.tell("s", 1, 90.0, (), "")
    world.book.propose("s")
    assert [one.number for one in world.book.changed_trials("s", 2, -1)] == [1, 3]
    assert [one.number for one in world.book.changed_trials("s", 2, 0)] == [3]


def test_trials_of_an_ended_search_are_still_counted(world: World) -> None:
    world.book.create(CONFIG)
    world.book.propose("s")
    world.book.tell("s", world.book.propose("s").number, 90.0, (), "")
    world.book.cancel("s")
    cancelled = world.book.get("s")
    assert (cancelled.trial_count, cancelled.ended_count) == (2, 1)


def test_unknown_search_is_named_with_near_ones(world: World) -> None:
    world.book.create(replace(CONFIG, name="phone-1"))
    with pytest.raises(NotFoundError, match="did you mean 'phone-1'"):
        world.book.get("phone-2")


def test_search_comes_back_whole(world: World) -> None:
    config = replace(CONFIG, max_macs=1e8, strategy_options={"population": "20"})
    search = SearchInfo("searches/s", config, SearchState.FAILED, 5.5, reason="why", result_json="{}")
    world.store.put_search(search)
    assert world.store.search("searches/s") == search
