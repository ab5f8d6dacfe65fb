"""Writes golden_measurement.json: what the Python core makes of clocks and runs that are told beforehand.

The page's port is held to the same answers (``test_golden.py``). Run again only when the protocol itself changes:
``python tests/stand_ins/pages/make_golden.py``.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fleetnas_latency.digest import output_digest
from fleetnas_latency.measurement import Plan, RunTimes, measure
from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.statistics import estimate, student_quantile
from fleetnas_latency.warmup import clock_tick_ms

GOLDEN = Path(__file__).with_name("golden_measurement.json")
_PLAN = Plan(
    relative_half_width=0.02,
    max_duration_s=3.0,
    min_duration_s=0.3,
    warmup_min_s=0.1,
    warmup_cap_s=1.0,
    max_run_count=2_000,
)


class TickingClock:
    """Time passes only while a network runs, and is read in whole ticks."""

    def __init__(self, tick_ms: float) -> None:
        self._tick_ms = tick_ms
        self._now_ms = 0.0

    def seconds(self) -> float:
        return self.read_ms() / 1e3

    def read_ms(self) -> float:
        return math.floor(self._now_ms / self._tick_ms) * self._tick_ms if self._tick_ms else self._now_ms

    def pass_ms(self, duration_ms: float) -> None:
        self._now_ms += duration_ms


class ToldRunner:
    """Takes as long as it is told, over and over."""

    def __init__(self, durations_ms: list[float], clock: TickingClock) -> None:
        self._durations: Iterator[float] = cycle(durations_ms)
        self._clock = clock

    def run(self, count: int) -> RunTimes:
        start_ms = self._clock.read_ms()
        for _ in range(count):
            self._clock.pass_ms(next(self._durations))
        return RunTimes((self._clock.read_ms() - start_ms) / count, 0.0)


def main() -> None:
    rng = Random(20)
    content = {
        "measurements": [_measurement(name, rng, *options) for name, options in _CASES.items()],
        "estimates": [
            _estimate(rng, count, tick) for count in (1, 2, 30, 31, 997) for tick in (0.0, 0.1, 1.0)
        ],
        "rounds": [
            *(_rounds(rng, count, drift) for count in (3, 6, 25) for drift in (0.0, 0.4)),
            *(_two_speeds(Random(count), count) for count in (7, 30, 80)),
        ],
        "ticks": [_tick(rng, tick) for tick in (0.005, 0.1, 1.0)],
        "student": [[p, n, student_quantile(p, n)] for p in (0.9, 0.975, 0.995) for n in (5, 11, 40)],
        "digests": [_digest(rng, count) for count in (1, 2, 10, 1001)],
    }
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


# Mean and spread of the candidate and of the anchor in ms, tick in ms, plan; None for no anchor.
_CASES: dict[str, tuple[Any, ...]] = {
    "steady, fine clock": ((7.0, 0.02), (3.0, 0.02), 0.005, _PLAN),
    "steady, tick of 0.1 ms": ((7.0, 0.02), (3.0, 0.02), 0.1, _PLAN),
    "steady, tick of 1 ms": ((7.0, 0.02), (3.0, 0.02), 1.0, _PLAN),
    "shorter than a tick": ((0.03, 0.02), (0.2, 0.02), 0.1, _PLAN),
    "far shorter than a tick": (
        (0.002, 0.02),
        None,
        1.0,
        replace(_PLAN, max_duration_s=0.4, warmup_cap_s=0.2),
    ),
    "far shorter, fine clock": ((0.003, 0.02), (0.2, 0.02), 0.001, _PLAN),
    "noisy, no anchor": ((20.0, 0.4), None, 0.1, _PLAN),
    "more runs than allowed": ((2.0, 0.6), (3.0, 0.1), 0.1, replace(_PLAN, max_run_count=60)),
    "long runs": ((140.0, 0.01), (60.0, 0.01), 1.0, _PLAN),
}


def _measurement(
    name: str, rng: Random, candidate: Any, anchor: Any, tick_ms: float, plan: Plan
) -> dict[str, Any]:
    told = [_durations(rng, *one) if one else None for one in (candidate, anchor)]
    clock = TickingClock(tick_ms)
    runners = [ToldRunner(one, clock) if one else None for one in told]
    assert runners[0] is not None
    raw = measure(runners[0], runners[1], plan, clock.seconds)
    answer = asdict(raw)
    for series in (answer["candidate"], answer["anchor"]):
        del series["cpu_ms"]
    return {"name": name, "tick_ms": tick_ms, "plan": asdict(plan), "told_ms": told, "raw": answer}


def _durations(rng: Random, mean_ms: float, spread: float) -> list[float]:
    return [round(mean_ms * math.exp(spread * rng.gauss(0.0, 1.0)), 6) for _ in range(97)]


def _estimate(rng: Random, count: int, tick: float) -> dict[str, Any]:
    samples = [rng.lognormvariate(2.0, 0.2) for _ in range(count)]
    if tick:
        samples = [round(one / tick) * tick for one in samples]
    return {"samples": samples, "tick": tick, "estimate": asdict(estimate(samples, 0.5, 0.95, tick))}


def _rounds(rng: Random, count: int, drift: float) -> dict[str, Any]:
    rounds = [
        [rng.gauss(10.0 + drift * index, 0.5) for _ in range(rng.randint(1, 9))] for index in range(count)
    ]
    return {"rounds": rounds, "estimate": asdict(estimate_rounds(rounds, 0.5, 0.95, 0.0))}


def _two_speeds(rng: Random, count: int) -> dict[str, Any]:
    speeds = [1.08 if rng.random() < 0.3 else 1.0 for _ in range(count)]
    speeds[:2] = 1.0, 1.08
    rounds = [[10.0 * speed * rng.lognormvariate(0.0, 0.01) for _ in range(9)] for speed in speeds]
    return {"rounds": rounds, "estimate": asdict(estimate_rounds(rounds, 0.5, 0.95, 0.0))}


def _tick(rng: Random, tick: float) -> dict[str, Any]:
    readings = [rng.randint(1, 400) * tick + rng.uniform(-2e-9, 2e-9) for _ in range(40)]
    return {"readings": readings, "tick_ms": clock_tick_ms(readings)}


def _digest(rng: Random, count: int) -> dict[str, Any]:
    values = [rng.gauss(0.0, 3.0) for _ in range(count)]
    return {"values": values, "digest": list(output_digest(np.array(values)))}


if __name__ == "__main__":
    main()
