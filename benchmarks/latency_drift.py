"""A device that is 15 % slower for a quarter of the time: what the anchor saves of its latency table.

    python benchmarks/latency_drift.py --pool macro-onnxruntime.csv --json

The networks' true latencies are those that ``latency_pool.py`` measured; the device that plays them has a planted
slow state, which slows each network by 15 % give or take ``--unlike``. The networks are measured by the protocol on
the simulated clock, one after the other, the reference beside each; those that end as ``throttled`` are measured
again. The table is fitted from the ratios to the reference, and side by side from the same milliseconds as if there
had been no anchor: by the additive model and by the model of few measurements, which allows for wild noise. Errors
are those of unseen networks against their true latency at the usual speed.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from host_pool import HostPool, read_host_pool
from numpy.typing import NDArray
from planted_device import PlantedDevice
from sqlite_utils import Database

from fleetnas_latency.ageing import DRIFT_LIMIT, anchor_drifts
from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.fitting import fit
from fleetnas_latency.measurement import Evidence, Measurement, Plan, Verdict, judge, measure
from fleetnas_latency.repository import Observation, ObservationKind
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target

_SLOWER, _SHARE = 1.15, 0.25
_TARGET = Target("planted", "simulated", "1", stand_in="replay")
_PLAN = Plan(warmup_min_s=0.2, warmup_cap_s=1.0)
_UNSEEN = 200
_ATTEMPTS = 4

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """What a device gave, one after the other.

    Attributes:
        slow: Whether the device was slow for more than half of each measurement.
        again: How many measurements were made again because they ended as ``throttled``.
    """

    observations: tuple[Observation, ...]
    slow: NDArray[np.bool_]
    again: int


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    pool = read_host_pool(options.pool, "nas-bench-macro")
    runs = [dict(_figures(pool, options, seed)) for seed in range(options.seeds)]
    setting = {"networks": options.networks, "seeds": options.seeds, "slower": _SLOWER, "share": _SHARE,
               "stay_s": options.stay_s, "unlike": options.unlike, "unseen": _UNSEEN}  # fmt: skip
    for name in runs[0]:
        value = float(np.mean([run[name] for run in runs]))
        peer = name.replace("anchored", "plain") if "anchored" in name else ""
        peer_value = float(np.mean([run[peer] for run in runs])) if peer else None
        line = {"name": name, "value": round(100 * value, 3), "unit": "%", "peer": peer,
                "peer_value": None if peer_value is None else round(100 * peer_value, 3),
                "setting": setting}  # fmt: skip
        print(json.dumps(line) if options.json else f"{name:40s} {100 * value:.3f} %", flush=True)
    return 0


def _figures(pool: HostPool, options: argparse.Namespace, seed: int) -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool.networks))
    train, unseen = order[_UNSEEN : _UNSEEN + options.networks], order[:_UNSEEN]
    planted = _session(pool, train, options, _SHARE, rng)
    steady = _session(pool, train, options, 0.0, rng)
    drifts = anchor_drifts(planted.observations)
    found = np.array([drifts[one.measurement_id] > DRIFT_LIMIT for one in planted.observations])
    # Drift is told against the speed of the last measurements, whichever that is.
    now_slow = planted.slow[-5:].mean() > 0.5
    yield "measured_slow", float(planted.slow.mean())
    yield "made_again", planted.again / options.networks
    yield "drift_told_right", float((found == (planted.slow != now_slow)).mean())
    plain = tuple(replace(one, ratio=None, anchor_key="", anchor_ms=0.0) for one in planted.observations)
    for case, kept in (("anchored", planted.observations), ("plain", plain), ("steady", steady.observations)):
        for model, predicted_ms in _predictions(pool, kept, unseen):
            error = predicted_ms / pool.latency_ms[unseen] - 1.0
            yield f"{model}_{case}_median_error", float(np.median(np.abs(error)))
            yield f"{model}_{case}_median_bias", float(np.median(error))
            yield f"{model}_{case}_p90_error", float(np.quantile(np.abs(error), 0.9))


def _session(
    pool: HostPool, train: Indices, options: argparse.Namespace, share: float, rng: np.random.Generator
) -> Session:
    device = PlantedDevice(_SLOWER, share, options.stay_s, rng)
    observations, slow, again = [], [], 0
    for number, index in enumerate(train):
        network = device.load(float(pool.latency_ms[index]), options.unlike * float(rng.standard_normal()))
        for _ in range(_ATTEMPTS):
            begin_s, begin_slow_s = device.now_s, device.slow_s
            raw = measure(network, device.load(pool.reference_ms), _PLAN, device.clock)
            result = judge(raw, _PLAN, Evidence())
            if result.verdict is Verdict.OK:
                observations.append(_observation(pool, index, number, result, device.now_s))
                slow.append(device.slow_s - begin_slow_s > 0.5 * (device.now_s - begin_s))
                break
            again += 1
    return Session(tuple(observations), np.array(slow), again)


def _observation(pool: HostPool, index: int, number: int, result: Measurement, now_s: float) -> Observation:
    assert result.anchor is not None  # every measurement here has one
    return Observation(
        f"planted/{number}", _TARGET, ObservationKind.NETWORK, pool.networks[index].key, result.estimate,
        result.verdict, now_s, pool.space.name, ratio=result.ratio, anchor_key=pool.space.reference.key,
        anchor_ms=result.anchor.value,
    )  # fmt: skip


def _predictions(
    pool: HostPool, observations: Sequence[Observation], unseen: Indices
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    table = LatencyTable(Database(memory=True))
    table.put_observations(observations)
    asked = [pool.networks[index] for index in unseen]
    yield "additive", fit(table, _TARGET, pool.space).predict(asked).mean_ms
    yield "few_shot", few_shot_model(table, _TARGET, pool.space, asked).predict(asked).mean_ms
    table.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True, help="nas-bench-macro, of latency_pool.py")
    parser.add_argument("--networks", type=int, default=50, help="measured ones")
    parser.add_argument("--stay-s", type=float, default=8.0, help="mean stay in a state, seconds")
    parser.add_argument(
        "--unlike", type=float, default=0.01, help="spread of what the slow state does to networks"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
