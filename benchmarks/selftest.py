"""Does this machine measure the same tomorrow? Twenty networks in several processes, beside a naive loop.

    python benchmarks/selftest.py --session one.json      one process; repeat it, hours or processes apart
    python benchmarks/selftest.py --json one.json two.json three.json      the figures of several sessions

Each session times the networks in four ways, with the same time for each network: the protocol (each network twice,
as A and A'), a naive loop (one run to warm up, then the mean; of 50 runs and of as many as the time allows), and one
batch whose networks take turns in random order round by round.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import kendalltau

from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime
from fleetnas_agents.runtimes.runtime import TimedNetwork
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, judge, measure
from fleetnas_latency.self_test import smallest_difference
from fleetnas_latency.statistics import Statistic, ratio_estimate
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

NETWORK_COUNT = 20
SPACE = "nas-bench-macro"
PLAN = Plan(
    statistic=Statistic.CPU_P10,
    warmup_min_s=0.2,
    warmup_cap_s=0.3,
    min_duration_s=0.5,
    max_duration_s=0.8,
    round_duration_s=0.05,
    anchor_share=0.4,
)
NETWORK_S = 0.8
BATCH_RUNS = 3
RULE_SESSIONS = 2
DIFFERENCES = (0.02, 0.04)


def networks(folder: Path) -> tuple[dict[str, TimedNetwork], TimedNetwork]:
    """Twenty networks of the space by their text, loaded, and its reference as the anchor."""
    found, rng = space(SPACE), Random(11)
    chosen = {}
    while len(chosen) < NETWORK_COUNT:
        architecture = found.canonical(found.sample(rng))
        chosen[found.format(architecture)] = architecture
    weights, runtime, loaded = WeightPool(folder), OnnxRuntime(), []
    for index, one in enumerate([*chosen.values(), found.canonical(found.reference)]):
        path = folder / f"{index}.onnx"
        path.write_bytes(emit_onnx(found.graph(one), weights, key=one.key, external=True).model_bytes)
        loaded.append(TimedNetwork(runtime.load(path, 1)))
    return dict(zip(chosen, loaded[:-1], strict=True)), loaded[-1]


def session(seed: int) -> dict[str, Any]:
    """Values by method, then by network; the protocol's A and A' as pairs of (value, low, high)."""
    rng = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        chosen, anchor = networks(Path(folder))
        values: dict[str, dict[str, Any]] = {}
        parts = [naive, protocol, batch]
        for part in rng.sample(parts, len(parts)):
            values |= part(chosen, anchor, rng)
    return {"time": time.time(), "load": os.getloadavg()[0], "values": values}


def naive(chosen: Mapping[str, TimedNetwork], _: TimedNetwork, __: Random) -> dict[str, dict[str, float]]:
    of50, long = {}, {}
    for name, network in chosen.items():
        begin_s = time.monotonic()
        network.run()
        runs_ms = []
        while time.monotonic() - begin_s < NETWORK_S or len(runs_ms) < 50:
            runs_ms.append(network.run().wall_ms)
        of50[name], long[name] = float(np.mean(runs_ms[:50])), float(np.mean(runs_ms))
    return {"naive, mean of 50": of50, "naive, mean of all": long}


def protocol(
    chosen: Mapping[str, TimedNetwork], anchor: TimedNetwork, rng: Random
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    order = [*chosen, *chosen]
    for name in rng.sample(order, len(order)):
        raw = measure(chosen[name], anchor, PLAN, time.monotonic)
        verdict = judge(raw, PLAN, Evidence()).verdict
        for statistic in Statistic:
            for key, value in _readings(raw, statistic).items():
                found.setdefault(f"protocol, {statistic}, {key}", {}).setdefault(name, []).append(value)
        found.setdefault("verdicts", {}).setdefault(name, []).append(str(verdict))
    return found


def _readings(raw: RawMeasurement, statistic: Statistic) -> dict[str, tuple[float, float, float]]:
    absolute = judge(raw, PLAN, Evidence()).others
    alone = next(one.estimate for one in absolute if one.statistic is statistic)
    ratio = ratio_estimate(
        raw.candidate.by_round(statistic), raw.anchor.by_round(statistic), statistic.quantile
    )
    return {
        "absolute": (alone.value, alone.low, alone.high),
        "ratio": (ratio.value, ratio.low, ratio.high),
    }


def batch(
    chosen: Mapping[str, TimedNetwork], anchor: TimedNetwork, rng: Random
) -> dict[str, dict[str, float]]:
    """All networks and the anchor take turns for as long as they would have had alone."""
    everyone = {**chosen, "anchor": anchor}
    rounds: dict[str, list[list[Any]]] = {name: [] for name in everyone}
    for network in everyone.values():
        network.run()
    begin_s = time.monotonic()
    while time.monotonic() - begin_s < NETWORK_S * len(chosen):
        for name in rng.sample(list(everyone), len(everyone)):
            rounds[name].append([everyone[name].run() for _ in range(BATCH_RUNS)])
    found: dict[str, dict[str, float]] = {}
    for statistic in Statistic:
        samples = {
            name: [[statistic.series.of(run.wall_ms, run.cpu_ms) for run in part] for part in parts]
            for name, parts in rounds.items()
        }
        for name in chosen:
            alone = float(np.quantile(np.concatenate(samples[name]), statistic.quantile))
            ratio = ratio_estimate(samples[name], samples["anchor"], statistic.quantile).value
            found.setdefault(f"batch, {statistic}, absolute", {})[name] = alone
            found.setdefault(f"batch, {statistic}, ratio", {})[name] = ratio
    return found


def figures(sessions: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, float, str]]:
    """Method, name, value and unit."""
    names = sorted(sessions[0]["values"]["naive, mean of 50"])
    for method in sessions[0]["values"]:
        if method == "verdicts":
            continue
        table = np.array([[_value(one["values"][method][name]) for name in names] for one in sessions])
        spread = np.std(table, axis=0, ddof=1) / table.mean(axis=0)
        yield (
            method,
            "between_session_spread",
            round(100 * float(np.median(spread)), 3),
            "% (CV, median network)",
        )
        taus = [kendalltau(one, other).statistic for one, other in combinations(table, 2)]
        yield method, "kendall_tau_mean", round(float(np.mean(taus)), 4), ""
        yield method, "kendall_tau_worst", round(float(np.min(taus)), 4), ""
        yield from _differences(method, table)
        if len(sessions) > RULE_SESSIONS + 1:
            yield from _held_out(method, np.log(table))
        if method.startswith("protocol"):
            yield from _comparisons(method, [one["values"][method] for one in sessions], names)
    verdicts = [one for each in sessions for pair in each["values"]["verdicts"].values() for one in pair]
    yield "protocol", "ok", round(100 * verdicts.count("ok") / len(verdicts), 1), "% of measurements"


def _comparisons(
    method: str, found: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[tuple[str, str, float, str]]:
    pairs = [each[name] for each in found for name in names]
    gaps = np.array([abs(np.log(one[0] / other[0])) for one, other in pairs])
    by_interval = np.mean([_apart(one, other) for one, other in pairs])
    yield method, "aa_false_positives_by_interval", round(100 * float(by_interval), 2), "% of A/A' pairs"
    # Learned on the other sessions, so that no session judges itself.
    per = len(names)
    false = 0
    for index in range(len(found)):
        rest = np.delete(gaps, slice(index * per, (index + 1) * per))
        false += int((gaps[index * per : (index + 1) * per] > np.quantile(rest, 0.95)).sum())
    yield (
        method,
        "resolution",
        round(100 * float(np.quantile(gaps, 0.95)), 3),
        "% (95th percentile of A/A' gaps)",
    )
    yield (
        method,
        "aa_false_positives_at_resolution",
        round(100 * false / len(gaps), 2),
        "% of A/A' pairs, held out",
    )


def _held_out(method: str, logs: np.ndarray[Any, Any]) -> Iterator[tuple[str, str, float, str]]:
    """The resolution that a self-test of two sessions states, and how often two other sessions break it.

    Args:
        logs: Shape (sessions, networks).
    """
    stated, broken = [], []
    for known in combinations(range(len(logs)), RULE_SESSIONS):
        stated.append(smallest_difference(logs[list(known)]))
        rest = np.delete(logs, known, axis=0)
        broken += [float((abs(one - other) > stated[-1]).mean()) for one, other in combinations(rest, 2)]
    unit = f"% (median self-test of {RULE_SESSIONS} sessions)"
    yield method, "stated_resolution", round(100 * float(np.median(stated)), 3), unit
    yield method, "aa_false_positives_of_self_test", round(100 * float(np.mean(broken)), 2), "% of A/A pairs"


def _differences(method: str, table: np.ndarray[Any, Any]) -> Iterator[tuple[str, str, float, str]]:
    """Of two networks in one session: how far it moves between sessions, and whether small true ones are found.

    The truth is the mean of all sessions of the same method.
    """
    pairs = list(combinations(range(table.shape[1]), 2))
    gaps = np.array([[np.log(row[one] / row[other]) for one, other in pairs] for row in table])
    true = gaps.mean(axis=0)
    reach = 1.96 * float(np.sqrt(((gaps - true) ** 2).sum() / (gaps.size - len(pairs))))
    yield method, "pair_resolution", round(100 * reach, 3), "% (1.96 deviations of a difference)"
    near = (abs(true) >= DIFFERENCES[0]) & (abs(true) <= DIFFERENCES[1])
    if near.any():
        found = gaps[:, near] * np.sign(true[near]) > reach
        unit = f"% of {int(near.sum())} pairs 2 to 4 % apart, at the pair resolution"
        yield method, "ab_found", round(100 * float(found.mean()), 1), unit


def _value(reading: Any) -> float:
    """Of A alone where there are A and A'."""
    return float(reading[0][0] if isinstance(reading, list) else reading)


def _apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the difference of two intervals, taken as normal in the logarithm, leaves out zero."""
    gap = abs(np.log(one[0] / other[0]))
    reach = np.hypot(np.log(one[2] / one[1]) / 2.0, np.log(other[2] / other[1]) / 2.0)
    return bool(gap > reach)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="sessions to compare")
    parser.add_argument("--session", type=Path, help="measure one session into this file")
    parser.add_argument("--seed", type=int, default=None, help="of the order; default: the time")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    if args.session is not None:
        args.session.write_text(json.dumps(session(int(time.time()) if args.seed is None else args.seed)))
        return 0
    sessions = [json.loads(path.read_text()) for path in args.files]
    setting = {
        "sessions": len(sessions),
        "networks": NETWORK_COUNT,
        "load": [one["load"] for one in sessions],
    }
    for method, name, value, unit in figures(sessions):
        line = {"name": name, "value": value, "unit": unit, "peer": None, "peer_value": None}
        line["setting"] = setting | {"method": method}
        print(json.dumps(line) if args.json else f"{method}: {name} {value} {unit}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
