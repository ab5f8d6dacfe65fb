"""What a device can tell apart, on simulated sessions of known noise."""

import math
from random import Random
from typing import Any

import pytest

from fleetnas_latency.measurement import Evidence, Measurement, Plan, RawMeasurement, RunSeries, judge
from fleetnas_latency.self_test import Session, kendall_tau, self_test
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.errors import InvalidArgumentError

PLAN = Plan()
ROUNDS, RUNS = 10, 6


def _series(rng: Random, wall_ms: float, cpu_ms: float) -> RunSeries:
    indices = [index for index in range(ROUNDS) for _ in range(RUNS)]
    noise = [rng.lognormvariate(0.0, 0.002) for _ in indices]
    return RunSeries(
        tuple(wall_ms * one for one in noise), tuple(cpu_ms * one for one in noise), tuple(indices)
    )


def _measured(
    rng: Random, latency_ms: float, wall_spread: float, cpu_spread: float, anchor_spread: float
) -> Measurement:
    """Each clock, and the anchor, are off by a factor of the measurement's."""
    wall, cpu = (rng.lognormvariate(0.0, one) for one in (wall_spread, cpu_spread))
    anchor = rng.lognormvariate(0.0, anchor_spread)
    raw = RawMeasurement(
        _series(rng, latency_ms * wall, latency_ms * cpu),
        _series(rng, anchor, anchor),
        warmup_duration_s=0.5,
        sampling_duration_s=1.5,
    )
    return judge(raw, PLAN, Evidence())


def _sessions(
    *, wall: float, cpu: float, anchor: float = 0.0, networks: int = 8, count: int = 2
) -> list[Session]:
    rng = Random(1)
    latencies = {f"n{index}": 1.0 + 0.1 * index for index in range(networks)}
    return [
        {name: _measured(rng, one, wall, cpu, anchor) for name, one in latencies.items()}
        for _ in range(count)
    ]


def test_spread_and_resolution_are_those_of_the_planted_noise() -> None:
    found = self_test(_sessions(wall=0.02, cpu=0.02, networks=20, count=3))
    wall = next(one for one in found.agreements if one.statistic is Statistic.WALL_MEDIAN)
    assert wall.spread == pytest.approx(0.02, rel=0.25)
    assert wall.resolution == pytest.approx(1.96 * math.sqrt(2.0) * 0.02, rel=0.3)


def test_statistic_that_repeats_clearly_better_becomes_the_headline() -> None:
    found = self_test(_sessions(wall=0.05, cpu=0.005))
    assert found.chosen is not Statistic.WALL_MEDIAN
    assert "wall_median" in found.reason
    assert "only to" in found.reason


@pytest.mark.parametrize("cpu", [0.05, 0.018])
def test_wall_time_stays_the_headline_unless_another_is_clearly_better(cpu: float) -> None:
    assert self_test(_sessions(wall=0.02, cpu=cpu)).chosen is Statistic.WALL_MEDIAN


def test_ratio_is_left_where_the_anchor_is_less_steady_than_the_networks() -> None:
    found = self_test(_sessions(wall=0.02, cpu=0.02, anchor=0.1))
    assert not found.relative
    assert "in milliseconds" in str(found)


def test_resolution_is_that_of_the_headline_and_is_said() -> None:
    found = self_test(_sessions(wall=0.05, cpu=0.005))
    wanted = (found.chosen, found.relative)
    chosen = next(one for one in found.agreements if (one.statistic, one.relative) == wanted)
    assert found.resolution == chosen.resolution
    assert f"resolves {chosen.resolution:.1%} with 95% confidence in 2.0 s" in str(found)


def test_intervals_that_know_nothing_of_sessions_raise_false_alarms() -> None:
    found = self_test(_sessions(wall=0.05, cpu=0.0001))
    rates = {one.statistic: one.false_alarm_rate for one in found.agreements}
    assert rates[Statistic.WALL_MEDIAN] > 0.5
    assert rates[Statistic.CPU_MEDIAN] < 0.2


def test_order_of_networks_is_compared_between_sessions() -> None:
    quiet, noisy = (self_test(_sessions(wall=one, cpu=one)).agreements[0] for one in (0.001, 0.3))
    assert quiet.sessions_tau == 1.0
    assert noisy.sessions_tau < 0.9
    assert noisy.halves_tau == 1.0


def test_statistics_that_mean_nothing_on_the_device_are_left_out() -> None:
    found = self_test(_sessions(wall=0.05, cpu=0.005), [Statistic.WALL_MEDIAN])
    assert {one.statistic for one in found.agreements} == {Statistic.WALL_MEDIAN}
    assert found.chosen is Statistic.WALL_MEDIAN


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ([], "tell nothing"),
        (_sessions(wall=0.01, cpu=0.01, count=1), "tell nothing"),
        (_sessions(wall=0.01, cpu=0.01, networks=3), "tell nothing"),
        (
            [*_sessions(wall=0.01, cpu=0.01, count=1), *_sessions(wall=0.01, cpu=0.01, networks=6)],
            "different",
        ),
    ],
)
def test_too_little_to_compare_is_refused(sessions: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        self_test(sessions)


@pytest.mark.parametrize(
    ("second", "tau"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0), ([1, 2, 4, 3], 4 / 6), ([1, 1, 1, 1], 0.0)]
)
def test_kendall_tau_counts_pairs(second: list[float], tau: float) -> None:
    assert kendall_tau([1, 2, 3, 4], second) == pytest.approx(tau)
