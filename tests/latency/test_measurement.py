"""The whole protocol on a simulated device."""

import dataclasses
from random import Random
from typing import Any

import pytest

from fleetnas_latency.measurement import Evidence, Measurement, Plan, StopReason, Verdict, judge, measure
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

QUICK = Plan(warmup_min_s=0.1, warmup_cap_s=1.0)


def _noisy(latency_ms: float, spread: float = 0.01, *, seed: int = 0, cpu_share: float = 1.0) -> Any:
    rng = Random(seed)

    def cost(now_s: float, index: int) -> tuple[float, float]:
        wall_ms = latency_ms * rng.lognormvariate(0.0, spread)
        return wall_ms, cpu_share * wall_ms

    return cost


def _measured(
    device: Any, candidate: Any, anchor: Any = None, plan: Plan = QUICK, **evidence: Any
) -> Measurement:
    loaded = device.load(anchor) if anchor is not None else None
    return judge(measure(device.load(candidate), loaded, plan, device.clock), plan, Evidence(**evidence))


def test_quiet_network_is_ok_and_its_interval_holds_the_truth(device: Any) -> None:
    found = _measured(device, _noisy(5.0))
    assert found.verdict is Verdict.OK
    assert found.estimate.low <= 5.0 <= found.estimate.high
    assert found.estimate.relative_half_width <= 0.01


def test_every_run_is_kept_with_its_round(device: Any) -> None:
    raw = measure(device.load(_noisy(5.0)), device.load(_noisy(2.0, seed=1)), QUICK, device.clock)
    assert len(raw.candidate.wall_ms) == len(raw.candidate.cpu_ms) == len(raw.candidate.rounds) >= 30
    assert set(raw.candidate.rounds) == set(raw.anchor.rounds) == set(range(raw.round_count))


def test_anchor_gets_its_share_of_the_time(device: Any) -> None:
    raw = measure(device.load(_noisy(2.0)), device.load(_noisy(1.0, seed=1)), QUICK, device.clock)
    candidate_ms, anchor_ms = sum(raw.candidate.wall_ms), sum(raw.anchor.wall_ms)
    assert anchor_ms / (candidate_ms + anchor_ms) == pytest.approx(QUICK.anchor_share, abs=0.03)


def test_share_of_zero_leaves_the_anchor_alone(device: Any) -> None:
    anchor = device.load(_noisy(1.0))
    raw = measure(
        device.load(_noisy(2.0)), anchor, dataclasses.replace(QUICK, anchor_share=0.0), device.clock
    )
    assert anchor.calls == []
    assert raw.anchor.wall_ms == ()


def test_all_minima_are_reached_even_when_the_interval_is_narrow_at_once(device: Any) -> None:
    plan = dataclasses.replace(QUICK, min_run_count=77, min_round_count=20, min_duration_s=3.0)
    raw = measure(device.load(_noisy(5.0, 1e-4)), None, plan, device.clock)
    assert len(raw.candidate.wall_ms) >= 77
    assert raw.round_count >= 20
    assert raw.sampling_duration_s >= 3.0


def test_spikes_cost_runs_but_do_not_move_the_median(device: Any) -> None:
    rng, quiet = Random(4), _noisy(5.0)

    def spiky(now_s: float, index: int) -> tuple[float, float]:
        wall_ms, cpu_ms = quiet(now_s, index)
        return (wall_ms * 15.0 if rng.random() < 0.1 else wall_ms), cpu_ms

    found = _measured(device, spiky)
    assert found.verdict is Verdict.OK
    assert found.estimate.value == pytest.approx(5.0, rel=0.01)


def test_noise_that_needs_longer_than_the_cap_is_not_converged(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_duration_s=2.0)
    found = _measured(device, _noisy(20.0, 0.5), plan=plan)
    assert found.verdict is Verdict.NOT_CONVERGED
    assert found.raw.stop_reason is StopReason.DURATION_CAP
    assert "allow more time" in found.reason


def test_run_cap_ends_the_sampling_too(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_run_count=500)
    found = _measured(device, _noisy(1.0, 0.8), plan=plan)
    assert found.raw.stop_reason is StopReason.RUN_CAP
    assert found.verdict is Verdict.NOT_CONVERGED


def test_run_cap_is_ok_where_the_interval_is_as_narrow_as_asked(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_run_count=400, min_duration_s=10.0)
    found = _measured(device, _noisy(5.0), plan=plan)
    assert found.raw.stop_reason is StopReason.RUN_CAP
    assert found.verdict is Verdict.OK


def test_run_cap_in_fewer_rounds_than_asked_is_not_converged(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_run_count=400, min_duration_s=10.0)
    raw = measure(device.load(_noisy(5.0)), None, plan, device.clock)
    few = dataclasses.replace(raw.candidate, rounds=tuple(one // 10 for one in raw.candidate.rounds))
    found = judge(dataclasses.replace(raw, candidate=few), plan, Evidence())
    assert found.verdict is Verdict.NOT_CONVERGED
    assert "allow more runs" in found.reason


@pytest.mark.parametrize("latency_ms", [0.005, 0.05])
def test_network_of_a_few_microseconds_is_ok_after_enough_rounds(device: Any, latency_ms: float) -> None:
    found = _measured(device, _noisy(latency_ms), _noisy(1.0, seed=1))
    assert found.verdict is Verdict.OK
    assert found.raw.round_count >= QUICK.min_round_count
    assert found.estimate.value == pytest.approx(latency_ms, rel=0.02)


def test_advice_at_the_run_cap_is_more_runs(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_run_count=500)
    assert "allow more runs" in _measured(device, _noisy(1.0, 0.8), plan=plan).reason


def test_too_few_runs_in_the_time_are_not_converged_whatever_their_interval(device: Any) -> None:
    found = _measured(device, _noisy(2000.0, 1e-4), plan=dataclasses.replace(QUICK, max_duration_s=20.0))
    assert found.verdict is Verdict.NOT_CONVERGED
    assert "fewer than the 30 runs" in found.reason


def test_sampling_stops_within_one_round_of_the_cap(device: Any) -> None:
    plan = dataclasses.replace(QUICK, max_duration_s=2.0)
    raw = measure(device.load(_noisy(20.0, 0.5)), None, plan, device.clock)
    assert raw.sampling_duration_s < 2.0 + 2 * plan.round_duration_s


def test_too_few_runs_for_the_lowest_decile_do_not_converge(device: Any) -> None:
    # The smallest of 30 runs lies above the lowest decile once in 24 times: no 95 % interval exists yet.
    plan = dataclasses.replace(QUICK, statistic=Statistic.CPU_P10, max_duration_s=100.0)
    raw = measure(device.load(_noisy(200.0, 0.001)), None, plan, device.clock)
    assert raw.stop_reason is StopReason.CONVERGED
    assert len(raw.candidate.wall_ms) > 30


def test_slowing_device_is_throttled(device: Any) -> None:
    steady, anchor = _noisy(5.0), _noisy(2.0, seed=1)
    plan = dataclasses.replace(QUICK, min_duration_s=5.0)

    def heating(cost: Any) -> Any:
        def slower(now_s: float, index: int) -> tuple[float, float]:
            wall_ms, cpu_ms = cost(now_s, index)
            return wall_ms * (1.0 + 0.02 * now_s), cpu_ms * (1.0 + 0.02 * now_s)

        return slower

    found = _measured(device, heating(steady), heating(anchor), plan)
    assert found.verdict is Verdict.THROTTLED
    assert found.drift > 0.03
    assert "the device became" in found.reason
    assert "cool down" in found.reason


def test_anchor_cancels_planted_drift(device: Any) -> None:
    plan = dataclasses.replace(QUICK, min_duration_s=5.0, max_duration_s=8.0)

    def drifting(cost: Any) -> Any:
        return lambda now_s, index: tuple(part * (1.0 + 0.05 * now_s) for part in cost(now_s, index))

    found = _measured(device, drifting(_noisy(6.0)), drifting(_noisy(2.0, seed=1)), plan)
    assert found.ratio is not None
    assert abs(found.estimate.value - 6.0) > 0.3
    assert found.ratio.value == pytest.approx(3.0, rel=0.02)


def test_scatter_without_drift_is_not_called_throttled(device: Any) -> None:
    found = _measured(device, _noisy(20.0, 0.3), _noisy(10.0, 0.3, seed=1))
    assert found.verdict is not Verdict.THROTTLED


def test_network_that_slows_down_without_an_anchor_is_throttled_by_its_own_runs(device: Any) -> None:
    steady = _noisy(5.0, 0.002)
    plan = dataclasses.replace(QUICK, min_duration_s=5.0)

    def slower(now_s: float, index: int) -> tuple[float, float]:
        wall_ms, cpu_ms = steady(now_s, index)
        return wall_ms * (1.0 + 0.03 * now_s), cpu_ms * (1.0 + 0.03 * now_s)

    found = _measured(device, slower, plan=plan)
    assert found.verdict is Verdict.THROTTLED
    assert "the device became" in found.reason


@pytest.mark.parametrize(
    ("statistic", "cpu_share", "verdict"),
    [
        (Statistic.WALL_MEDIAN, 1 / 1.1, Verdict.OK),
        (Statistic.WALL_MEDIAN, 1 / 1.5, Verdict.CONTENDED),
        (Statistic.CPU_P10, 1 / 1.5, Verdict.OK),
        (Statistic.CPU_P10, 1 / 2.5, Verdict.CONTENDED),
        (Statistic.CPU_MEDIAN, 1 / 2.5, Verdict.CONTENDED),
    ],
)
def test_waiting_for_the_core_is_contention_beyond_the_statistics_limit(
    device: Any, statistic: Statistic, cpu_share: float, verdict: Verdict
) -> None:
    plan = dataclasses.replace(QUICK, statistic=statistic)
    found = _measured(device, _noisy(5.0, cpu_share=cpu_share), plan=plan)
    assert found.verdict is verdict
    assert found.contention == pytest.approx(1 / cpu_share)


def test_several_threads_add_cpu_time_and_are_not_judged_by_it(device: Any) -> None:
    plan = dataclasses.replace(QUICK, thread_count=4)
    assert _measured(device, _noisy(5.0, cpu_share=0.5), plan=plan).verdict is Verdict.OK


def test_another_output_than_the_references_is_wrong(device: Any) -> None:
    found = _measured(device, _noisy(5.0), digest=(4.0, 1.0, 1.0, 1.0), reference_digest=(4.0, 2.0, 2.0, 1.0))
    assert found.verdict is Verdict.WRONG_OUTPUT


def test_output_that_is_not_finite_is_wrong_without_a_reference(device: Any) -> None:
    found = _measured(device, _noisy(5.0), digest=(4.0, float("nan"), 1.0, 1.0))
    assert found.verdict is Verdict.WRONG_OUTPUT


def test_matching_output_is_ok_and_its_digest_is_kept(device: Any) -> None:
    digest = (4.0, 1.0, 1.0, 1.0)
    found = _measured(device, _noisy(5.0), digest=digest, reference_digest=digest)
    assert found.verdict is Verdict.OK
    assert found.digest == digest


def test_wrong_output_outranks_contention(device: Any) -> None:
    found = _measured(device, _noisy(5.0, cpu_share=0.2), digest=(float("inf"),) * 4)
    assert found.verdict is Verdict.WRONG_OUTPUT


def test_reasons_are_one_line(device: Any) -> None:
    for candidate in (_noisy(5.0), _noisy(5.0, cpu_share=0.2), _noisy(20.0, 0.5)):
        assert "\n" not in _measured(device, candidate).reason


def test_without_cpu_clock_only_wall_statistics_are_given(device: Any) -> None:
    found = _measured(device, _noisy(5.0, cpu_share=0.0))
    assert [one.statistic for one in found.others] == [Statistic.WALL_MEDIAN]
    assert found.verdict is Verdict.OK


def test_cpu_headline_without_cpu_clock_is_refused(device: Any) -> None:
    plan = dataclasses.replace(QUICK, statistic=Statistic.CPU_P10)
    with pytest.raises(FailedPreconditionError, match="wall_median"):
        measure(device.load(_noisy(5.0, cpu_share=0.0)), None, plan, device.clock)


def test_ratio_and_anchor_are_absent_without_an_anchor(device: Any) -> None:
    found = _measured(device, _noisy(5.0))
    assert found.ratio is None
    assert found.anchor is None


def test_progress_is_reported_after_every_round(device: Any) -> None:
    seen: list[int] = []
    raw = measure(device.load(_noisy(5.0)), None, QUICK, device.clock, lambda: seen.append(1))
    assert len(seen) == raw.round_count


@pytest.mark.parametrize("latency_ms", [0.4, 3.0, 40.0])
def test_coarse_clock_gets_an_inner_loop_of_a_hundred_ticks(device: Any, latency_ms: float) -> None:
    device.tick_ms = 1.0
    raw = measure(device.load(_noisy(latency_ms)), None, QUICK, device.clock)
    assert raw.candidate.inner_count * latency_ms >= 95.0
    assert raw.tick_ms == pytest.approx(1.0)


def test_coarse_clock_still_gives_the_true_latency(device: Any) -> None:
    device.tick_ms = 1.0
    assert _measured(device, _noisy(0.73)).estimate.value == pytest.approx(0.73, rel=0.015)


def test_clock_that_sees_no_single_run_is_tried_with_longer_loops(device: Any) -> None:
    device.tick_ms = 1000.0
    plan = dataclasses.replace(QUICK, warmup_min_s=0.0, warmup_cap_s=0.2, max_duration_s=60.0)
    raw = measure(device.load(_noisy(5.0)), None, plan, device.clock)
    assert raw.candidate.inner_count > 100


def test_fine_clock_times_single_runs(device: Any) -> None:
    raw = measure(device.load(_noisy(5.0)), None, QUICK, device.clock)
    assert raw.candidate.inner_count == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"anchor_share": 1.0},
        {"relative_half_width": 0.0},
        {"min_duration_s": 30.0},
        {"max_duration_s": float("inf")},
        {"max_duration_s": 1e308},
        {"warmup_cap_s": 0.1},
        {"min_run_count": 0},
        {"level": 1.0},
        {"thread_count": 2, "statistic": Statistic.CPU_P10},
    ],
)
def test_plan_that_cannot_be_followed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(reversed(wrong))):
        Plan(**wrong)


def test_device_that_rarely_changes_between_two_speeds_is_told_so(device: Any) -> None:
    steady = _noisy(5.0, 0.002)

    def flipping(now_s: float, index: int) -> tuple[float, float]:
        slow = int(now_s / 0.6) % 2 == 1
        return tuple(part * (1.08 if slow else 1.0) for part in steady(now_s, index))  # type: ignore[return-value]

    found = _measured(device, flipping, plan=dataclasses.replace(QUICK, max_duration_s=5.0))
    assert found.verdict is Verdict.NOT_CONVERGED
    assert "two speeds" in found.reason
