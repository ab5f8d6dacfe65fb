"""What a faulty connection makes of the messages that pass it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleetnas_agents.drivers.replay.faulty_link import FaultyLink
from fleetnas_agents.link import DirectLink, LinkLostError
from fleetnas_protos.v1 import fleet_pb2

Make = Callable[..., Any]


@dataclass
class Clock:
    now: float = 100.0
    slept_s: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept_s.append(seconds)


class Seen:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []

    def __call__(self, event: str, measurement: str, fencing_token: int, detail: str = "") -> None:
        self.events.append((event, measurement, fencing_token))


def lease(token: int, name: str = "measurements/m") -> fleet_pb2.Lease:
    return fleet_pb2.Lease(measurement=name, fencing_token=token)


def report(token: int, name: str = "measurements/m") -> fleet_pb2.AgentMessage:
    message = fleet_pb2.AgentMessage(report=fleet_pb2.Report(lease=lease(token, name)))
    message.report.result.verdict = message.report.result.OK
    return message


BEAT = fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat())


def assign(link: Any, token: int = 5) -> None:
    assignment = fleet_pb2.Assignment(lease=lease(token))
    asyncio.run(link.incoming(fleet_pb2.ControllerMessage(assignment=assignment)))


def sent(link: Any, message: fleet_pb2.AgentMessage) -> list[fleet_pb2.AgentMessage]:
    async def collect() -> list[fleet_pb2.AgentMessage]:
        return [one async for one in link.outgoing(message)]

    return asyncio.run(collect())


def test_direct_and_sound_links_pass_everything_on(faults: Make) -> None:
    for link in (DirectLink(), FaultyLink(faults(), Seen())):
        assert sent(link, BEAT) == [BEAT]
        assert sent(link, report(5)) == [report(5)]
        assert asyncio.run(link.part(b"1234")) == b"1234"


def test_duplicate_report_is_the_same_report(faults: Make) -> None:
    link = FaultyLink(faults("duplicate=1:3"), Seen())
    assign(link)
    assert sent(link, report(5)) == [report(5)] * 4


def test_stale_report_bears_an_older_token(faults: Make) -> None:
    link = FaultyLink(faults("stale=1"), Seen())
    assign(link)
    assert [one.report.lease.fencing_token for one in sent(link, report(5))] == [5, 4]
    assign(link, 6)
    assert [one.report.lease.fencing_token for one in sent(link, report(6))] == [6, 5, 5]


@pytest.mark.parametrize("seed", range(12))
def test_broken_connection_breaks_once_in_a_job(faults: Make, seed: int) -> None:
    link = FaultyLink(faults("disconnect=1", seed=seed), Seen())
    breaks = 0
    for step in (lambda: assign(link), lambda: sent(link, report(5)), lambda: sent(link, report(5))):
        try:
            step()
        except LinkLostError:
            breaks += 1
    assert breaks == 1


def test_silence_holds_everything_up_for_its_time(faults: Make) -> None:
    clock = Clock()
    link = FaultyLink(faults("silence=1:3"), Seen(), clock, clock.sleep)
    assign(link)
    clock.now += 1.0
    assert sent(link, BEAT) == [BEAT]
    assert clock.slept_s == [2.0]
    assert sent(link, report(5)) == [report(5)]
    assert clock.slept_s == [2.0]


def test_slow_link_takes_longer_for_each_message_and_part(faults: Make) -> None:
    clock = Clock()
    link = FaultyLink(faults("slow-link=1:0.5"), Seen(), clock, clock.sleep)
    assign(link)
    sent(link, BEAT)
    asyncio.run(link.part(b"1234"))
    assert clock.slept_s == [0.5, 0.5, 0.5]


def test_truncated_part_is_shorter_once(faults: Make) -> None:
    link = FaultyLink(faults("truncate=1"), Seen())
    assign(link)
    assert [asyncio.run(link.part(b"1234")) for _ in range(2)] == [b"12", b"1234"]


def test_trace_tells_what_was_assigned_sent_and_answered(faults: Make) -> None:
    seen = Seen()
    link = FaultyLink(faults(), seen)
    assign(link)
    sent(link, report(5))
    answer = fleet_pb2.Acknowledgement(lease=lease(5), accepted=True)
    asyncio.run(link.incoming(fleet_pb2.ControllerMessage(acknowledgement=answer)))
    assert seen.events == [(event, "measurements/m", 5) for event in ("assigned", "sent", "accepted")]
