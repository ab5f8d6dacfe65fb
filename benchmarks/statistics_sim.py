"""The measurement protocol on simulated clocks whose truth is known.

    python benchmarks/statistics_sim.py --series 2000 --json
    python benchmarks/statistics_sim.py --series 2000 --min-s 1 --json      as searches measure their proposals

Coverage: how often the 95 % interval holds the truth, of the headline (the median of the noise's own distribution)
where the device is steady, of the ratio to the anchor where it is not; of measurements that are `ok`, and of all.
Alarms: how often a 5 % throttle step, at any time from a tenth to nine tenths of the shortest sampling, and noise
without one end as `throttled`.
Runs: how many the protocol takes for +-1 %, beside the error of the mean of 50 runs (TFLite's rule) and of 4
(benchncnn's).
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from fleetnas_latency.measurement import Evidence, Measurement, Plan, RunTimes, Verdict, judge, measure
from fleetnas_latency.plan import QUOTED_MIN_S

LATENCY_MS, ANCHOR_MS = 5.0, 2.0
WARMUP_S = 0.5  # fixed, so that sampling begins at a known time
NOISE_BLOCK = 4096


@dataclass(frozen=True)
class Case:
    """A kind of noise.

    Attributes:
        sigma: Of the log-normal factor of each inference.
        spike_share, spike_factor: Part of the inferences that a longer one replaces, and how much longer at most.
        drift: Relative change of the device's speed in a second.
        step: Relative change at one moment; 0 for none.
        tick_ms: Of the clock.
        second_mode: Factor of a slower state, in which the device is for `mode_share` of the time.
        dwell_s: Mean stay in a state; 0 draws one for each inference.
        steady: Whether the headline has one truth; else the ratio has.
    """

    name: str
    sigma: float = 0.02
    spike_share: float = 0.0
    spike_factor: float = 5.0
    drift: float = 0.0
    step: float = 0.0
    tick_ms: float = 1e-6
    second_mode: float = 1.0
    mode_share: float = 0.3
    dwell_s: float = 0.0
    steady: bool = True


CASES = (
    Case("log-normal 2 %"),
    Case("log-normal 10 %", sigma=0.1),
    Case("spikes", spike_share=0.1),
    Case("ticks of 1 ms", tick_ms=1.0),
    Case("ticks of 0.1 ms", tick_ms=0.1),
    Case("two modes, drawn for each run", second_mode=1.08),
    Case("two modes, 50 ms each", second_mode=1.08, dwell_s=0.05),
    Case("two modes, 500 ms each", second_mode=1.08, dwell_s=0.5),
    Case("two modes, 500 ms each, ratio", second_mode=1.08, dwell_s=0.5, steady=False),
    Case("drift of 1 % a second", drift=0.01, steady=False),
    Case("step of 1 %", step=0.01, steady=False),
)
STEPS = (
    Case("5 % step in noise of 1 %", sigma=0.01, step=0.05, steady=False),
    Case("5 % step in noise of 2 %", step=0.05, steady=False),
    Case("5 % step in noise of 2 % and spikes", step=0.05, spike_share=0.1, steady=False),
    Case("5 % step in noise of 5 %", sigma=0.05, step=0.05, steady=False),
)
CASES_AND_STEPS = (*CASES, *STEPS)


class Device:
    """Its time passes only while a network runs."""

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        self.case = case
        self.now_s = 0.0
        self.step_s = 0.0
        self._rng = rng
        self._slow = rng.random() < case.mode_share
        self._switch_s = 0.0
        self._noise = self._factors()

    def clock(self) -> float:
        return self.now_s

    def load(self, latency_ms: float) -> "Network":
        return Network(self, latency_ms)

    def infer(self, latency_ms: float) -> float:
        case = self.case
        speed = 1.0 + case.drift * self.now_s
        if case.step and self.now_s >= self.step_s:
            speed += case.step
        if case.second_mode > 1.0 and self._is_slow():
            speed *= case.second_mode
        return latency_ms * speed * next(self._noise)

    def _is_slow(self) -> bool:
        case = self.case
        if case.dwell_s == 0.0:
            return bool(self._rng.random() < case.mode_share)
        while self.now_s >= self._switch_s:
            # Alternating renewal: the stays are in proportion to the shares, their mean is the dwell time.
            self._slow = not self._slow
            share = case.mode_share if self._slow else 1.0 - case.mode_share
            self._switch_s += self._rng.exponential(2.0 * share * case.dwell_s)
        return self._slow

    def _factors(self) -> Iterator[float]:
        case = self.case
        while True:
            factors = np.exp(case.sigma * self._rng.standard_normal(NOISE_BLOCK))
            if case.spike_share:
                spiked = self._rng.random(NOISE_BLOCK) < case.spike_share
                factors[spiked] *= self._rng.uniform(1.1, case.spike_factor, int(spiked.sum()))
            yield from factors.tolist()


class Network:
    def __init__(self, device: Device, latency_ms: float) -> None:
        self._device = device
        self._latency_ms = latency_ms

    def run(self, count: int) -> RunTimes:
        device, begin_s = self._device, self._device.now_s
        for _ in range(count):
            device.now_s += device.infer(self._latency_ms) / 1e3
        tick_ms = device.case.tick_ms
        read_ms = (device.now_s * 1e3 // tick_ms - begin_s * 1e3 // tick_ms) * tick_ms
        return RunTimes(read_ms / count, (device.now_s - begin_s) * 1e3 / count)


@dataclass(frozen=True)
class Found:
    """What is kept of one series."""

    verdict: Verdict
    covered: bool
    run_count: int
    error: float
    mean50_error: float
    mean4_error: float


def truth(case: Case, inner_count: int) -> float:
    """The true headline or ratio, by a large sample where there is no formula."""
    if not case.steady:
        return LATENCY_MS / ANCHOR_MS
    rng = np.random.default_rng(1)
    still = Device(Case(case.name, case.sigma, case.spike_share, case.spike_factor), rng)
    factors = np.fromiter(still._factors(), float, 200_000 * inner_count).reshape(-1, inner_count)
    if case.second_mode > 1.0:
        factors = np.where(rng.random(factors.shape) < case.mode_share, case.second_mode, 1.0) * factors
    if case.spike_share == 0.0 and case.second_mode == 1.0 and inner_count == 1:
        return LATENCY_MS
    return LATENCY_MS * float(np.median(factors.mean(axis=1)))


def one_series(case: Case, seed: int, min_s: float, truths: dict[int, float]) -> Found:
    rng = np.random.default_rng(seed)
    device = Device(case, rng)
    plan = Plan(warmup_min_s=WARMUP_S, warmup_cap_s=WARMUP_S, min_duration_s=min_s)
    device.step_s = WARMUP_S + rng.uniform(0.1, 0.9) * min_s
    raw = measure(device.load(LATENCY_MS), device.load(ANCHOR_MS), plan, device.clock)
    found = judge(raw, plan, Evidence())
    inner = raw.candidate.inner_count
    if inner not in truths:
        truths[inner] = truth(case, inner)
    return _judged(case, found, truths[inner])


def _judged(case: Case, found: Measurement, true: float) -> Found:
    shown = found.estimate if case.steady else found.ratio
    assert shown is not None  # there is an anchor
    runs = np.array(found.raw.candidate.wall_ms)
    scale = true if case.steady else LATENCY_MS
    return Found(
        found.verdict,
        shown.low <= true <= shown.high,
        len(runs),
        abs(shown.value / true - 1.0),
        abs(float(runs[:50].mean()) / scale - 1.0),
        abs(float(runs[:4].mean()) / scale - 1.0),
    )


def simulate(case: Case, count: int, min_s: float, first_seed: int) -> list[Found]:
    truths: dict[int, float] = {}
    return [one_series(case, first_seed + index, min_s, truths) for index in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=2000, help="of each case")
    parser.add_argument("--min-s", type=float, default=QUOTED_MIN_S, help="shortest sampling, seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", default="", help="only those whose name has this in it")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    cases = [case for case in CASES_AND_STEPS if args.cases in case.name]
    with ProcessPoolExecutor(args.jobs) as pool:
        seeds = [args.seed + 10**6 * CASES_AND_STEPS.index(case) for case in cases]
        count = len(cases)
        results = pool.map(simulate, cases, [args.series] * count, [args.min_s] * count, seeds)
        for case, found in zip(cases, results, strict=True):
            for name, value, unit, peer, peer_value in figures(case, found):
                setting = {"case": case.name, "series": args.series, "min_s": args.min_s, "seed": args.seed}
                line = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value}
                text = f"{case.name}: {name} {value} {unit} {f'({peer} {peer_value})' if peer else ''}"
                print(json.dumps(line | {"setting": setting}) if args.json else text, flush=True)
    return 0


def figures(case: Case, found: list[Found]) -> Iterator[tuple[str, float, str, str, float | None]]:
    good = [one for one in found if one.verdict is Verdict.OK]
    throttled = sum(one.verdict is Verdict.THROTTLED for one in found)
    alarm = "step_found" if case in STEPS else "throttled"
    yield alarm, _percent(throttled, len(found)), "%", "", None
    if case in STEPS:
        return
    yield "ok", _percent(len(good), len(found)), "%", "", None
    yield "coverage", _percent(sum(one.covered for one in found), len(found)), "% of all", "", None
    if not good:
        return
    yield "coverage", _percent(sum(one.covered for one in good), len(good)), "% of ok", "", None
    yield "runs", float(np.median([one.run_count for one in good])), "median", "fixed", 50.0

    def worst(errors: list[float]) -> float:
        return round(100.0 * float(np.quantile(errors, 0.95)), 3)

    own = worst([one.error for one in good])
    yield "error_p95", own, "%", "mean of 50 runs", worst([one.mean50_error for one in good])
    yield "error_p95", own, "%", "mean of 4 runs", worst([one.mean4_error for one in good])


def _percent(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 2)


if __name__ == "__main__":
    sys.exit(main())
