"""Faults come by name, as often as asked, and from the seed."""

from collections.abc import Callable
from typing import Any

import pytest

from fleetnas_agents.drivers.replay.faults import DeviceFaults, FaultName, FaultRate, parse_fault
from fleetnas_search_spaces.errors import InvalidArgumentError

Make = Callable[..., DeviceFaults]


def befallen(faults: DeviceFaults, name: FaultName, job_count: int = 400) -> list[bool]:
    found = []
    for _ in range(job_count):
        faults.next_job()
        found.append(faults.size(name) is not None)
    return found


def test_fault_is_read_with_its_size() -> None:
    assert parse_fault("silence=0.25:3") == (FaultName.SILENCE, FaultRate(0.25, 3.0))


@pytest.mark.parametrize("name", list(FaultName))
def test_every_fault_can_be_named_without_a_size(name: FaultName) -> None:
    assert parse_fault(f"{name}=1")[0] is name


@pytest.mark.parametrize(
    "text", ["", "drift", "drift=", "drift=x", "drift=2", "drift=-1", "drift=0.1:-1", "drift=nan", "fire=0.1"]
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--fault"):
        parse_fault(text)


def test_fault_befalls_about_as_many_jobs_as_asked(faults: Make) -> None:
    assert 60 < sum(befallen(faults("crash=0.25"), FaultName.CRASH)) < 140


def test_fault_that_was_not_asked_for_never_happens(faults: Make) -> None:
    assert not any(befallen(faults("crash=1"), FaultName.HANG))


def test_same_seed_gives_the_same_faults(faults: Make) -> None:
    first, again = (befallen(faults("crash=0.5", seed=3), FaultName.CRASH) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("other", [{"seed": 4}, {"seed": 3, "device": 1}])
def test_other_seed_or_device_gives_others(faults: Make, other: Any) -> None:
    first = befallen(faults("crash=0.5", seed=3), FaultName.CRASH)
    assert first != befallen(faults("crash=0.5", **other), FaultName.CRASH)


def test_one_fault_more_leaves_the_others_where_they_were(faults: Make) -> None:
    alone = befallen(faults("crash=0.5"), FaultName.CRASH)
    assert alone == befallen(faults("crash=0.5", "hang=0.5", "drift=1"), FaultName.CRASH)


def test_drift_stays_with_the_device(faults: Make) -> None:
    drifting = faults("drift=1:0.5")
    assert drifting.speed in (pytest.approx(1.5), pytest.approx(1 / 1.5))


def test_taken_fault_is_gone_until_the_next_job(faults: Make) -> None:
    once = faults("truncate=1")
    assert once.take(FaultName.TRUNCATE) is not None
    assert once.take(FaultName.TRUNCATE) is None
    once.next_job()
    assert once.take(FaultName.TRUNCATE) is not None
