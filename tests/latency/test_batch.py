"""Networks that take turns on a simulated device."""

import dataclasses
from random import Random
from typing import Any

import pytest

from fleetnas_latency.batch import measure_batch
from fleetnas_latency.measurement import Evidence, Plan, StopReason, Verdict, judge, measure
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

PLAN = Plan(warmup_min_s=0.1, warmup_cap_s=0.5, min_duration_s=0.2, max_duration_s=2.0)


def _noisy(latency_ms: float, seed: int, spread: float = 0.01, cpu_share: float = 1.0) -> Any:
    rng = Random(seed)

    def cost(now_s: float, index: int) -> tuple[float, float]:
        wall_ms = latency_ms * rng.lognormvariate(0.0, spread)
        return wall_ms, cpu_share * wall_ms

    return cost


def test_every_network_gets_its_own_latency_in_the_given_order(device: Any) -> None:
    truths = [5.0, 1.0, 3.0]
    found = measure_batch(
        [device.load(_noisy(one, seed)) for seed, one in enumerate(truths)],
        None,
        PLAN,
        device.clock,
        Random(1),
    )
    assert [judge(raw, PLAN, Evidence()).estimate.value for raw in found] == pytest.approx(truths, rel=0.01)
    assert {judge(raw, PLAN, Evidence()).verdict for raw in found} == {Verdict.OK}


def test_all_have_the_same_rounds_and_the_same_anchor(device: Any) -> None:
    networks = [device.load(_noisy(one, int(one))) for one in (2.0, 4.0)]
    found = measure_batch(networks, device.load(_noisy(1.0, 9)), PLAN, device.clock, Random(1))
    assert found[0].anchor == found[1].anchor
    assert set(found[0].candidate.rounds) == set(found[1].candidate.rounds) == set(found[0].anchor.rounds)


def test_order_of_turns_changes_from_round_to_round(device: Any) -> None:
    turns: list[str] = []

    def named(name: str) -> Any:
        def cost(now_s: float, index: int) -> tuple[float, float]:
            turns.append(name)
            return 40.0, 40.0

        return cost

    measure_batch([device.load(named(one)) for one in "abc"], None, PLAN, device.clock, Random(1))
    last = turns[-60:]
    orders = {tuple(last[start : start + 3]) for start in range(0, 60, 3)}
    assert len(orders) > 1
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_change_of_the_device_falls_on_all_alike(device: Any) -> None:
    def slowing(cost: Any) -> Any:
        return lambda now_s, index: tuple(part * (1.0 + 0.02 * now_s) for part in cost(now_s, index))

    plan = dataclasses.replace(PLAN, min_duration_s=1.0)
    costs = [slowing(_noisy(2.0, 1)), slowing(_noisy(4.0, 2))]
    together = measure_batch([device.load(one) for one in costs], None, plan, device.clock, Random(1))
    values = [judge(raw, plan, Evidence()).estimate.value for raw in together]
    assert values[1] / values[0] == pytest.approx(2.0, rel=0.01)
    apart = [judge(measure(device.load(one), None, plan, device.clock), plan, Evidence()) for one in costs]
    assert abs(apart[1].estimate.value / apart[0].estimate.value - 2.0) > 0.02


def test_batch_waits_for_its_noisiest_network_and_says_who_did_not_converge(device: Any) -> None:
    networks = [device.load(_noisy(2.0, 1)), device.load(_noisy(2.0, 2, spread=0.8))]
    quiet, noisy = measure_batch(networks, None, PLAN, device.clock, Random(1))
    assert (quiet.stop_reason, noisy.stop_reason) == (StopReason.CONVERGED, StopReason.DURATION_CAP)
    assert noisy.sampling_duration_s >= 2 * PLAN.max_duration_s


def test_batch_of_none_is_refused(device: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="without a network"):
        measure_batch([], None, PLAN, device.clock, Random(1))


def test_cpu_headline_without_a_cpu_clock_is_refused(device: Any) -> None:
    plan = dataclasses.replace(PLAN, statistic=Statistic.CPU_P10)
    with pytest.raises(FailedPreconditionError, match="wall_median"):
        measure_batch([device.load(_noisy(2.0, 1, cpu_share=0.0))], None, plan, device.clock, Random(1))
