"""Measures every network of NAS-Bench-Macro on this CPU, for the benchmarks that need a real latency table.

    taskset -c 1 python benchmarks/macro_table.py --out macro_host.csv --json      # 7 minutes; run nothing else

Networks are taken in random batches; a batch is run in rounds of random order, the reference among them, in ONNX
Runtime on one thread: some runs that do not count, so that its weights are in the caches as they are on a device that
runs it again and again, and some that do. (After one such run the larger networks still paid up to 10 % for being
one of sixty.) A network's value is its lowest CPU time as a share of the reference's lowest in that batch,
times the reference's median over all batches: the machine's slow changes cancel. Columns: ``arch,latency_ms``.
"""

__all__ = ["main"]

import argparse
import csv
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime
from fleetnas_agents.runtimes.runtime import TimedNetwork
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.weights import WeightPool

_INNER = 5


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    rng, space = random.Random(options.seed), NASBenchMacro()
    members = list(canonical_members(space, 10_000) or ())
    rng.shuffle(members)
    members = members[: options.count]
    shares: dict[str, tuple[float, float, float]] = {}
    references: list[float] = []
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        pool = WeightPool(Path(folder))
        for start in range(0, len(members), options.batch):
            batch = members[start : start + options.batch]
            runs = _run([space.reference, *batch], pool, Path(folder), options.rounds, rng)
            lowest = runs.min(axis=1)
            halves = [runs[:, part::2].min(axis=1) for part in (0, 1)]
            references.append(float(lowest[0]))
            for index, one in enumerate(batch, start=1):
                ratios = (half[index] / half[0] for half in halves)
                shares[space.format(one)] = (float(lowest[index] / lowest[0]), *ratios)
            _progress(len(shares), len(members), begin_s)
    reference_ms = statistics.median(references)
    _write(options.out, {key: share[0] * reference_ms for key, share in shares.items()})
    halves_apart = np.array([share[1:] for share in shares.values()])
    setting = {"networks": len(shares), "rounds": options.rounds, "batch": options.batch,
               "onnxruntime": version("onnxruntime"), "wall_s": round(time.monotonic() - begin_s)}  # fmt: skip
    gap = np.abs(halves_apart[:, 0] / halves_apart[:, 1] - 1.0)
    spread = statistics.stdev(references) / reference_ms if len(references) > 1 else 0.0
    for name, value, unit in (
        ("reference", reference_ms, "ms"),
        ("reference_spread_between_batches", 100 * spread, "%"),
        ("halves_median_gap", 100 * float(np.median(gap)), "%"),
        ("halves_p95_gap", 100 * float(np.quantile(gap, 0.95)), "%"),
        ("halves_kendall_tau", float(kendalltau(halves_apart[:, 0], halves_apart[:, 1]).statistic), ""),
    ):
        line = {"name": name, "value": round(value, 4), "unit": unit, "peer": "", "peer_value": None,
                "setting": setting}  # fmt: skip
        print(json.dumps(line) if options.json else f"{name:34s} {value:.4f} {unit}")
    return 0


def _run(
    networks: Sequence[Architecture], pool: WeightPool, folder: Path, rounds: int, rng: random.Random
) -> "np.ndarray":
    """CPU milliseconds of every run, shape ``(networks, rounds)``."""
    runners = [_loaded(one, pool, folder) for one in networks]
    times = np.empty((len(runners), rounds))
    for number in range(rounds):
        order = list(range(len(runners)))
        rng.shuffle(order)
        for index in order:
            runners[index].run(_INNER)  # the caches are the last network's
            times[index, number] = runners[index].run(_INNER).cpu_ms
    return times


def _loaded(architecture: Architecture, pool: WeightPool, folder: Path) -> TimedNetwork:
    graph = NASBenchMacro().graph(architecture)
    path = folder / "network.onnx"
    path.write_bytes(emit_onnx(graph, pool, key=architecture.key, external=True).model_bytes)
    return TimedNetwork(OnnxRuntime().load(path, 1))


def _write(path: Path, values_ms: dict[str, float]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("arch", "latency_ms"))
        writer.writerows((key, f"{values_ms[key]:.5f}") for key in sorted(values_ms))
    part.replace(path)


def _progress(done: int, count: int, begin_s: float) -> None:
    rest_s = (time.monotonic() - begin_s) * (count - done) / done
    print(f"\r{done} of {count}, {rest_s:.0f} s left ", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--count", type=int, default=10_000, help="stop after so many networks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
