"""What a played device answers, sound and at fault."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fleetnas_agents.drivers.replay.networks import architecture_of, stand_in_network
from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_latency.measurement import Verdict

Play = Callable[..., Any]
Make = Callable[..., Any]


def test_answer_is_the_tables_and_says_that_it_was_played(play: Play) -> None:
    measurement, target = asyncio.run(play())
    assert measurement.verdict is Verdict.OK
    assert measurement.estimate.value == pytest.approx(3.5, rel=0.02)
    assert (target.stand_in, dict(measurement.evidence)["stand_in"]) == ("replay", "replay")


def test_seed_changes_the_noise_and_nothing_else_does(play: Play) -> None:
    first, again, other = (asyncio.run(play(seed=seed))[0].raw for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("fault", "verdict"), [("throttle=1", Verdict.THROTTLED), ("wrong-result=1", Verdict.WRONG_OUTPUT)]
)
def test_fault_gets_its_verdict(play: Play, faults: Make, fault: str, verdict: Verdict) -> None:
    assert asyncio.run(play(faults(fault)))[0].verdict is verdict


def test_drifted_device_is_slower_with_a_good_verdict(play: Play, faults: Make) -> None:
    drifted = faults("drift=1:0.5")
    measurement, _ = asyncio.run(play(drifted))
    assert measurement.verdict is Verdict.OK
    assert measurement.estimate.value == pytest.approx(3.5 * drifted.speed, rel=0.02)


def test_crash_is_the_runtimes(play: Play, faults: Make) -> None:
    with pytest.raises(MeasureError, match="signal 11") as caught:
        asyncio.run(play(faults("crash=1")))
    assert caught.value.kind is FaultKind.CRASH


def test_hang_ends_at_the_limit_of_silence(play: Play, faults: Make) -> None:
    with pytest.raises(MeasureError, match=r"no sign of life for 0\.05 s") as caught:
        asyncio.run(play(faults("hang=1"), silence_s=0.05))
    assert caught.value.kind is FaultKind.CRASH


def test_short_hang_is_only_slow(play: Play, faults: Make) -> None:
    assert asyncio.run(play(faults("hang=1:0.01"), silence_s=5.0))[0].verdict is Verdict.OK


def test_architecture_that_the_table_lacks_is_the_models_fault(play: Play) -> None:
    with pytest.raises(MeasureError, match="no architecture '9,9'") as caught:
        asyncio.run(play(key="9,9"))
    assert caught.value.kind is FaultKind.MODEL


@pytest.mark.parametrize("length", [1, 100, 127, 128, 129, 300, 16_000])
def test_name_of_any_length_is_read_back(length: int) -> None:
    assert architecture_of(stand_in_network(f"space/8/{'1' * length}")) == "1" * length


@pytest.mark.parametrize("model", [b"", b"architecture", b"no network", b"architecture\x12"])
def test_file_without_a_name_is_the_models_fault(model: bytes) -> None:
    with pytest.raises(MeasureError, match="names no architecture") as caught:
        architecture_of(model)
    assert caught.value.kind is FaultKind.MODEL


def test_name_that_is_cut_short_is_no_crash() -> None:
    assert architecture_of(b"architecture\x12\xff") == ""
