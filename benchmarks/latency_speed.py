"""Predictions a second, one query, one update of the latency model of mobilenet-v2. One core.

python benchmarks/latency_speed.py --json

A batch is 10,000 networks drawn anew, mean and deviation of each; it is timed once the combinations of decisions that
occur were met (``tables_made`` says what that costs, once for each space and process). CPU time, medians.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

import numpy as np

from fleetnas_latency.batch_predictor import BatchPredictor
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.registry import space

_SPACE = "mobilenet-v2"
_BATCH = 10_000
_PEER = "PaddleSlim TableLatencyEvaluator, repaired"
_PEER_NETWORKS_A_SECOND = 61.0
"""54 to 61, measured apart, on a like machine."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measured", type=int, default=100, help="networks the model has observed")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    for figure in _figures(args.measured, args.repeats):
        shown = f"{figure['name']:16} {figure['value']} {figure['unit']}"
        print(json.dumps(figure) if args.json else shown, flush=True)
    return 0


def _figures(measured_count: int, repeats: int) -> Iterator[dict[str, object]]:
    found, rng = space(_SPACE), Random(0)
    model = _fitted(found, rng, measured_count)
    predictor = BatchPredictor(model, found)
    making_s = _seconds(lambda: predictor.predict(_drawn(found, rng, _BATCH)))
    predictor.predict(_drawn(found, rng, 4 * _BATCH))
    batches = [_drawn(found, rng, _BATCH) for _ in range(repeats)]
    batch_s = statistics.median(_seconds(lambda one=one: predictor.predict(one)) for one in batches)  # type: ignore[misc]
    singles = [[one] for one in _drawn(found, rng, 300)]
    single_s = statistics.median(_seconds(lambda one=one: predictor.predict(one)) for one in singles)  # type: ignore[misc]
    setting = {"space": _SPACE, "measured": measured_count, "batch": _BATCH}
    yield _figure("predictions", _BATCH / batch_s, "networks/s (CPU time)", setting, peer=True)
    yield _figure("tables_made", making_s, "s, once", setting)
    yield _figure("single_query", 1e3 * single_s, "ms, median", setting)
    yield from _updates(measured_count, repeats)


def _updates(measured_count: int, repeats: int) -> Iterator[dict[str, object]]:
    """On about 1,000 entries: as many networks are looked at as it takes to meet that many blocks."""
    found, rng = space(_SPACE), Random(1)
    model = _fitted(found, rng, measured_count)
    asked = _drawn(found, rng, 1)
    while model.block_counts.entry_count < 1000:
        asked += _drawn(found, rng, 1)
        model.predict(asked[-1:])
    model.predict(asked)
    entry_count = model.block_counts.entry_count
    timed = asked[: 2 * repeats]
    times = [_seconds(lambda one=one: model.update(one, 12.0, 0.1)) for one in timed]  # type: ignore[misc]
    if model.fitted().entry_count != entry_count or model.network_count != measured_count + len(timed):
        raise RuntimeError("an update was a new fit: the figure would be another one's.")
    setting = {"space": _SPACE, "measured": measured_count, "entries": entry_count}
    yield _figure("update", 1e3 * statistics.median(times), "ms, median", setting)


def _fitted(found: SearchSpace, rng: Random, count: int) -> LatencyModel:
    networks, noise = _drawn(found, rng, count), np.random.default_rng(0)
    latency_ms = np.array([1.0 + macs(found.graph(one)) / 2e7 for one in networks])
    latency_ms *= noise.lognormal(0.0, 0.02, count)
    model = LatencyModel(found)
    model.observe(networks, latency_ms, 0.01 * latency_ms)
    model.predict(networks[:1])
    return model


def _drawn(found: SearchSpace, rng: Random, count: int) -> list[Architecture]:
    return [found.sample(rng) for _ in range(count)]


def _seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def _figure(
    name: str, value: float, unit: str, setting: dict[str, object], *, peer: bool = False
) -> dict[str, object]:
    return {
        "name": name,
        "value": float(f"{value:.4g}"),
        "unit": unit,
        "peer": _PEER if peer else None,
        "peer_value": _PEER_NETWORKS_A_SECOND if peer else None,
        "setting": setting,
    }


if __name__ == "__main__":
    sys.exit(main())
