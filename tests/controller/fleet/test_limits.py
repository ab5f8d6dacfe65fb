"""What bounds a peer: refused attempts, open streams, unread messages."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from fleetnas_controller.enrolment import AttemptLimit
from fleetnas_controller.servicers.calls import StreamLimit, host_of
from fleetnas_controller.sessions import Session, Watch
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import FailedPreconditionError, ResourceExhaustedError


@dataclass
class Caller:
    """A call's context, as far as limits look at it."""

    address: str

    def peer(self) -> str:
        return self.address


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_refusals_of_one_peer_are_bounded_and_no_other_pays_for_it() -> None:
    limit = AttemptLimit(Clock(), count=3)
    for _ in range(3):
        limit.check("a")
        limit.refused("a")
    with pytest.raises(ResourceExhaustedError, match="a was refused 3 times"):
        limit.check("a")
    limit.check("b")


def test_refusals_are_forgotten_after_their_span() -> None:
    clock = Clock()
    limit = AttemptLimit(clock, count=2, span_s=60.0)
    limit.refused("a")
    clock.now += 59.0
    limit.refused("a")
    with pytest.raises(ResourceExhaustedError, match="Try again in 1 s"):
        limit.check("a")
    clock.now += 1.0
    limit.check("a")


def test_many_peers_take_bounded_memory() -> None:
    limit = AttemptLimit(Clock())
    for number in range(10_100):
        limit.refused(f"peer-{number}")
    assert len(limit._refused) == 10_000


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:192.0.2.7:5000", "ipv4:192.0.2.7"), ("ipv6:[::1]:5000", "ipv6:[::1]"), ("unix", "unix")],
)
def test_host_is_the_peer_without_its_port(peer: str, host: str) -> None:
    assert host_of(Caller(peer)) == host


def test_streams_of_a_connection_are_bounded_until_one_ends() -> None:
    limit = StreamLimit(2)
    first, other = Caller("ipv4:a:1"), Caller("ipv4:a:2")
    with limit.stream(first):
        with limit.stream(first):
            with pytest.raises(ResourceExhaustedError, match="2 open streams"), limit.stream(first):
                pass
            with limit.stream(other):
                pass
        with limit.stream(first):
            pass


def test_session_that_is_not_read_ends_at_once() -> None:
    async def run() -> Session:
        session = Session("devices/a")
        for _ in range(1001):
            session.send(fleet_pb2.ControllerMessage())
        await asyncio.wait_for(session.over(), 5.0)
        return session

    assert isinstance(asyncio.run(run()).error, ResourceExhaustedError)


def test_first_reason_of_an_ended_session_stays() -> None:
    session = Session("devices/a")
    session.end(FailedPreconditionError("first"))
    session.end(ResourceExhaustedError("second"))
    assert str(session.error) == "first"


def test_watch_gives_what_has_gathered_in_parts() -> None:
    async def run() -> list[tuple[Any, ...]]:
        watch = Watch(lambda _: True)
        for number in range(27):
            watch.put(number)  # type: ignore[arg-type]
        return [await watch.next(), await watch.next()]

    assert asyncio.run(run()) == [tuple(range(25)), (25, 26)]


def test_watch_that_is_not_read_is_told_and_keeps_nothing() -> None:
    record: Any = object()

    async def run() -> None:
        watch = Watch(lambda _: True)
        for _ in range(10_001):
            watch.put(record)
        assert watch._queue.qsize() == 1
        with pytest.raises(ResourceExhaustedError, match="10000 changes"):
            await watch.next()

    asyncio.run(run())
