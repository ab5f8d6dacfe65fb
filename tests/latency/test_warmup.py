from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_latency.plan import Plan
from fleetnas_latency.warmup import clock_tick_ms, warm_up


def _settling(after_s: float) -> Any:
    def cost(now_s: float, index: int) -> tuple[float, float]:
        latency_ms = 5.0 * (1.0 + 0.5 * max(0.0, after_s - now_s))
        return latency_ms, latency_ms

    return cost


def test_steady_network_is_warm_after_the_shortest_time(device: Any) -> None:
    found = warm_up(device.load(_settling(0.0)), None, Plan(), device.clock)
    assert found.steady
    assert 0.5 <= found.duration_s < 0.7


def test_warm_up_lasts_until_the_network_has_settled(device: Any) -> None:
    found = warm_up(device.load(_settling(2.0)), None, Plan(), device.clock)
    assert found.steady
    assert 2.0 < found.duration_s < 3.0
    assert found.candidate[-1].wall_ms == 5.0


def test_network_that_never_settles_is_cut_at_the_cap(device: Any) -> None:
    found = warm_up(device.load(_settling(1000.0)), None, Plan(), device.clock)
    assert not found.steady
    assert found.duration_s == pytest.approx(5.0, abs=3.0)


def test_network_slower_than_the_cap_still_runs_once(device: Any) -> None:
    found = warm_up(device.load(lambda now_s, index: (9000.0, 9000.0)), None, Plan(), device.clock)
    assert len(found.candidate) == 1


def test_cap_of_zero_runs_once(device: Any) -> None:
    plan = Plan(warmup_min_s=0.0, warmup_cap_s=0.0)
    assert len(warm_up(device.load(_settling(0.0)), None, plan, device.clock).candidate) == 1


def test_anchor_is_warmed_too(device: Any) -> None:
    found = warm_up(device.load(_settling(0.0)), device.load(_settling(0.0)), Plan(), device.clock)
    assert len(found.anchor) >= 4


@given(st.lists(st.integers(1, 10_000), min_size=3), st.sampled_from([0.005, 0.1, 1.0, 15.625]))
def test_readings_of_a_coarse_clock_are_multiples_of_the_found_tick(
    counts: list[int], tick_ms: float
) -> None:
    found = clock_tick_ms([count * tick_ms for count in counts])
    assert found >= tick_ms * (1 - 1e-9)
    assert round(found / tick_ms) == pytest.approx(found / tick_ms)


def test_tick_of_a_nanosecond_clock_is_a_few_nanoseconds() -> None:
    assert clock_tick_ms([1.234567, 1.250003, 1.239998]) < 1e-4


@pytest.mark.parametrize("readings_ms", [[], [3.0, 5.0], [0.0, 0.0, 0.0]])
def test_tick_that_cannot_be_told_is_zero(readings_ms: list[float]) -> None:
    assert clock_tick_ms(readings_ms) == 0.0
