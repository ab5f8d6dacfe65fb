"""Networks in turns on a played device, sound and drifting."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fleetnas_latency.measurement import Verdict

BATCH = {"companion_files": ("b.onnx", "c.onnx"), "anchor_entry_file": "anchor.onnx"}


def played(play: Callable[..., Any], *faults: Any, **fields: Any) -> Any:
    result, target = asyncio.run(play(*faults, **(BATCH | fields)))
    assert target.stand_in == "replay"
    return result


def test_every_network_gets_the_tables_latency(play: Any) -> None:
    result = played(play)
    assert [one.verdict for one in result.batch] == [Verdict.OK] * 3
    assert [one.estimate.value for one in result.batch] == pytest.approx([3.5] * 3, rel=0.02)
    assert dict(result.companions[1].evidence)["drift_repeats"] == "0"


def test_device_that_drifts_in_every_try_is_throttled(play: Any, faults: Any) -> None:
    drifting = faults("drift=1:0.2")
    result = played(play, drifting)
    assert [one.verdict for one in result.batch] == [Verdict.THROTTLED] * 3
    assert "even after 3 rests" in result.reason
    assert dict(result.evidence)["drift_repeats"] == "3"


def test_device_that_drifts_now_and_then_is_measured_again(play: Any, faults: Any) -> None:
    repeats = []
    for seed in range(8):
        result = played(play, faults("drift=0.4:0.2", seed=seed))
        if result.verdict is Verdict.OK:
            repeats.append(dict(result.evidence)["drift_repeats"])
    assert {"0", "1"} <= set(repeats)


def test_drift_within_a_batch_is_for_good(play: Any, faults: Any) -> None:
    drifting = faults("drift=1:0.2")
    before = drifting.speed
    played(play, drifting)
    assert drifting.speed != before


def test_throttled_batch_leaves_the_device_as_it_was(play: Any, faults: Any) -> None:
    throttling = faults("throttle=1")
    assert played(play, throttling).verdict is Verdict.THROTTLED
    assert throttling.speed == 1.0


def test_batch_without_an_anchor_is_measured_once(play: Any, faults: Any) -> None:
    result = played(play, faults("drift=1:0.01"), anchor_entry_file="")
    assert "drift_repeats" not in dict(result.evidence)
    assert len(result.batch) == 3


def test_seed_decides_what_a_batch_gives(play: Any) -> None:
    first, again, other = (played(play, seed=seed) for seed in (1, 1, 2))
    assert first.estimate == again.estimate != other.estimate
