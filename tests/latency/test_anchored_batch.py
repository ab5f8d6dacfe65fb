"""A batch between two looks at the anchor, on a simulated device that changes its speed when told."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from fleetnas_latency.anchored_batch import REPEAT_LIMIT, longest_s
from fleetnas_latency.measurement import Evidence, Plan, Verdict, in_one, judge, measure_anchored

PLAN = Plan(warmup_min_s=0.1, warmup_cap_s=0.5, min_duration_s=0.2, max_duration_s=1.0, max_run_count=2000)


class Lab:
    """Two networks and an anchor; ``drifts``: by how much each try makes the device slower."""

    def __init__(self, device: Any, *drifts: float) -> None:
        self.device = device
        self.rests: list[float] = []
        self._drifts = list(drifts)
        self._speed = 1.0
        self._drifted = False
        self._rng = Random(1)

    def measured(self) -> Any:
        networks = [self.device.load(self._cost(one, drifts=True)) for one in (2.0, 4.0)]
        anchor = self.device.load(self._cost(1.0))
        return measure_anchored(networks, anchor, PLAN, self.device.clock, Random(2), self._rest)

    def verdicts(self) -> list[Verdict]:
        raws, drift = self.measured()
        return [judge(raw, PLAN, Evidence(anchor_drift=drift)).verdict for raw in raws]

    def _rest(self, duration_s: float) -> None:
        self.rests.append(duration_s)
        self.device.now_s += duration_s
        self._drifted = False

    def _cost(self, latency_ms: float, *, drifts: bool = False) -> Any:
        def cost(now_s: float, index: int) -> tuple[float, float]:
            if drifts and not self._drifted:
                # In the warm-up, where nothing but the looks at the anchor can see it.
                self._drifted = True
                self._speed *= 1.0 + (self._drifts.pop(0) if self._drifts else 0.0)
            wall_ms = latency_ms * self._speed * self._rng.lognormvariate(0.0, 0.005)
            return wall_ms, wall_ms

        return cost


def test_steady_device_is_measured_once(device: Any) -> None:
    lab = Lab(device)
    _, drift = lab.measured()
    assert (lab.rests, drift.repeat_count) == ([], 0)
    assert abs(drift.change) < 0.01


def test_device_that_drifted_once_rests_and_is_measured_again(device: Any) -> None:
    lab = Lab(device, 0.1)
    raws, drift = lab.measured()
    assert (lab.rests, drift.repeat_count) == ([10.0], 1)
    result = judge(raws[0], PLAN, Evidence(anchor_drift=drift))
    assert result.verdict is Verdict.OK
    assert result.estimate.value == pytest.approx(2.2, rel=0.01)
    assert drift.facts()["drift_repeats"] == "1"


@pytest.mark.parametrize("step", [0.1, -0.08])
def test_device_that_drifts_again_and_again_is_throttled(device: Any, step: float) -> None:
    lab = Lab(device, *[step] * (1 + REPEAT_LIMIT))
    raws, drift = lab.measured()
    assert lab.rests == [10.0, 20.0, 40.0]
    results = [judge(raw, PLAN, Evidence(anchor_drift=drift)) for raw in raws]
    assert {one.verdict for one in results} == {Verdict.THROTTLED}
    assert "even after 3 rests" in results[1].reason


def test_drift_below_the_limit_is_let_pass(device: Any) -> None:
    assert Lab(device, 0.02).verdicts() == [Verdict.OK, Verdict.OK]


def test_longest_time_holds_for_a_device_that_never_comes_to_rest(device: Any) -> None:
    lab = Lab(device, *[0.1] * (1 + REPEAT_LIMIT))
    lab.measured()
    assert device.now_s < longest_s(PLAN, 2)


def test_fast_network_that_waits_for_a_slow_one_keeps_few_runs(device: Any) -> None:
    rng = Random(3)

    def noisy(now_s: float, index: int) -> tuple[float, float]:
        wall_ms = 20.0 * rng.lognormvariate(0.0, 0.8)
        return wall_ms, wall_ms

    networks = [device.load(noisy), device.load(lambda now_s, index: (0.01, 0.01))]
    anchor = device.load(lambda now_s, index: (0.01, 0.01))
    plan = replace(PLAN, max_duration_s=3.0, max_run_count=1000)
    raws, _ = measure_anchored(networks, anchor, plan, device.clock, Random(2), lambda duration_s: None)
    # The round that passes the cap is a whole one, each further one has a single run.
    assert len(raws[1].candidate.wall_ms) <= 1.05 * plan.max_run_count + raws[1].round_count


def test_batch_in_one_keeps_order_verdicts_and_one_copy_of_the_anchor(device: Any) -> None:
    raws, drift = Lab(device).measured()
    results = [judge(raw, PLAN, Evidence(anchor_drift=drift)) for raw in raws]
    joined = in_one(results)
    assert [one.estimate for one in joined.batch] == [one.estimate for one in results]
    assert joined.companions[0].ratio == results[1].ratio
    assert (joined.raw.anchor.wall_ms != (), joined.companions[0].raw.anchor.wall_ms) == (True, ())
