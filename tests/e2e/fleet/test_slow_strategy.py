"""A strategy that thinks for long, while a controller serves everybody else."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import grpc
import pytest

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_protos.v1 import search_pb2, search_pb2_grpc
from fleetnas_search_spaces.architecture import Architecture

WAIT_S = 20.0


class Thinker:
    """Thinks until it is let go, and counts who is inside."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._inside = 0
        self.most_inside = 0
        self.thinking, self.may_go = threading.Event(), threading.Event()

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        self._inside += 1
        self.most_inside = max(self.most_inside, self._inside)
        self.thinking.set()
        assert self.may_go.wait(WAIT_S)
        self._inside -= 1
        return self._problem.space.sample(rng)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        self.most_inside = max(self.most_inside, self._inside + 1)


@pytest.fixture
def thinker(served: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Thinker]:
    made: list[Thinker] = []

    def create(name: str, problem: Problem, **options: Any) -> Thinker:
        made.append(Thinker(problem))
        return made[-1]

    monkeypatch.setattr("fleetnas_controller.told_search.create_strategy", create)
    served.client.create_search(
        SearchConfig("told", "nas-bench-macro", "random", "client", ("phone",), budget=12)
    )
    yield made[0]
    made[0].may_go.set()


def test_others_are_served_while_a_strategy_thinks(served: Any, thinker: Thinker) -> None:
    with ThreadPoolExecutor(1) as pool:
        proposing = pool.submit(served.client.propose, "told")
        assert thinker.thinking.wait(WAIT_S)
        assert served.client.list_devices() == ()
        assert not proposing.done()
        thinker.may_go.set()
        assert proposing.result(WAIT_S).number == 0


def test_caller_that_leaves_lets_nobody_in_before_the_strategy_is_done(served: Any, thinker: Thinker) -> None:
    connection = served.client._connection
    stub = search_pb2_grpc.SearchServiceStub(connection.channel)
    request = search_pb2.ProposeRequest(name="searches/told", worker="gone")
    with pytest.raises(grpc.RpcError, match="Deadline"):
        stub.Propose(request, timeout=0.5, metadata=connection.metadata)
    assert thinker.thinking.wait(WAIT_S)
    with ThreadPoolExecutor(4) as pool:
        proposing = [pool.submit(served.client.propose, "told") for _ in range(4)]
        served.client.list_devices()
        thinker.may_go.set()
        assert sorted(one.result(WAIT_S).number for one in proposing) == [1, 2, 3, 4]
    assert thinker.most_inside == 1
    # What was proposed to the one that left is its own still.
    assert served.client.propose("told", "gone").number == 0


def test_tell_waits_for_the_strategy(served: Any, thinker: Thinker) -> None:
    thinker.may_go.set()
    first = served.client.propose("told")
    thinker.may_go.clear()
    thinker.thinking.clear()
    with ThreadPoolExecutor(2) as pool:
        proposing = pool.submit(served.client.propose, "told")
        assert thinker.thinking.wait(WAIT_S)
        telling = pool.submit(served.client.tell, "told", first.number, 90.0)
        served.client.list_devices()
        thinker.may_go.set()
        assert (proposing.result(WAIT_S).number, telling.result(WAIT_S).order) == (1, 0)
    assert thinker.most_inside == 1
