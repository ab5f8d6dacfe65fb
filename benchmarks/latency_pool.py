"""Measures networks of a space and their single blocks on this CPU, for the benchmarks of the latency table.

    taskset -c 1 python benchmarks/latency_pool.py --space nas-bench-macro \\
        --runtime onnxruntime --networks 480 --out macro-onnxruntime.csv

Stops after ``--seconds`` and goes on where it stopped when it is called again; the file is whole after each batch. A
batch takes turns in random order; each turn begins with runs that do not count, so that the caches are the
network's, and the turn's value is the lowest CPU time of the runs after them. A network's value is the lower
quartile of its turns, on which two halves of the turns agreed better than on the lowest (1.5 against 2.0 %, 30
networks, 20 turns each). Six anchors, the reference among them, take part in every batch: ``host_pool.py`` has what
they are for.
"""

__all__ = ["PoolLine", "main", "read_pool"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from single_blocks import block_graphs, call_graph

from fleetnas_agents.runtimes.registry import runtime_of
from fleetnas_agents.runtimes.runtime import LoadedNetwork, TimedNetwork
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_latency.operator_text import operator_key
from fleetnas_search_spaces.emit_ncnn import INPUT_BLOB, OUTPUT_BLOB, emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

_ANCHOR_COUNT = 6


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One measured network or block.

    Attributes:
        kind: ``network``, ``block``, ``call`` (a call of next to nothing) or ``anchor``, a network of every batch.
        key: A network in the space's text form, or a block's key.
        batch: Number of the batch it was measured in.
        latency_ms: CPU time, lower quartile of all turns.
        first_ms, second_ms: The same of the even and of the odd turns.
    """

    kind: str
    key: str
    batch: int
    latency_ms: float
    first_ms: float
    second_ms: float


def read_pool(path: Path) -> list[PoolLine]:
    """The lines of a file; none when it is not there."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [PoolLine(row[0], row[1], int(row[2]), *map(float, row[3:])) for row in rows]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    begin_s, rng = time.monotonic(), random.Random(options.seed)
    found = space(options.space)
    members = sorted({found.canonical(found.sample(rng)) for _ in range(options.networks)})
    rng.shuffle(members)
    wanted = {("network", found.format(one)): found.graph(one) for one in members}
    wanted["call", ""] = call_graph()
    for block, graph in block_graphs(found, members).items():
        wanted["block", operator_key(block)] = graph
    anchors = [found.canonical(found.reference), *members[: _ANCHOR_COUNT - 1]]
    beside = {("anchor", found.format(one)): found.graph(one) for one in anchors}
    lines = read_pool(options.out)
    done = {(one.kind, one.key) for one in lines}
    left = [key for key in wanted if key not in done]
    while left and time.monotonic() - begin_s < options.seconds:
        batch, left = left[: options.batch], left[options.batch :]
        number = 1 + max((one.batch for one in lines), default=-1)
        graphs = beside | {key: wanted[key] for key in batch}
        runs = _run(list(graphs.values()), options, rng)
        parts = [np.quantile(one, 0.25, axis=1) for one in (runs, runs[:, ::2], runs[:, 1::2])]
        lines += [PoolLine(*key, number, *map(float, row)) for key, *row in zip(graphs, *parts, strict=True)]
        _write(options.out, lines)
        print(f"\r{len(wanted) - len(left)} of {len(wanted)} ", end="", file=sys.stderr, flush=True)
    print(f"{len(wanted) - len(left)} of {len(wanted)} are in '{options.out}'")
    return 0 if not left else 1


def _run(graphs: Sequence[Graph], options: argparse.Namespace, rng: random.Random) -> NDArray[np.float64]:
    """Lowest CPU milliseconds of every turn, shape ``(graphs, turns)``."""
    with tempfile.TemporaryDirectory() as folder:
        pool = WeightPool(None)
        networks = [TimedNetwork(_loaded(one, options.runtime, pool, Path(folder))) for one in graphs]
    times = np.empty((len(networks), options.turns))
    for turn in range(options.turns):
        order = list(range(len(networks)))
        rng.shuffle(order)
        for index in order:
            networks[index].run(max(options.runs // 2, 1))  # the caches are the last network's
            times[index, turn] = min(networks[index].run().cpu_ms for _ in range(options.runs))
    return times


def _loaded(graph: Graph, runtime: str, pool: WeightPool, folder: Path) -> LoadedNetwork:
    if runtime == "ncnn":
        return _loaded_in_ncnn(graph, pool, folder)
    path = folder / "network.onnx"
    path.write_bytes(emit_onnx(graph, pool, key="").model_bytes)
    return runtime_of(runtime).load(path, 1)


def _loaded_in_ncnn(graph: Graph, pool: WeightPool, folder: Path) -> LoadedNetwork:
    """As the native runner of phones loads it: written for ncnn directly, fp32."""
    import ncnn

    model = emit_ncnn(graph, pool, key="")
    (folder / "net.param").write_text(model.param_text, encoding="utf-8")
    (folder / "net.bin").write_bytes(model.bin_bytes)
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(folder / "net.param")) or net.load_model(str(folder / "net.bin")):
        raise SystemExit("ncnn refuses a network")

    def run(mat: object) -> NDArray[np.generic]:
        with net.create_extractor() as extractor:
            extractor.input(INPUT_BLOB, mat)
            return np.array(extractor.extract(OUTPUT_BLOB)[1])

    def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return run(ncnn.Mat(np.ascontiguousarray(values[0])).clone())

    mat = ncnn.Mat(made_up_input(graph.input_shape, np.dtype(np.float32))).clone()
    return LoadedNetwork(partial(run, mat), run(mat), evaluate)


def _write(path: Path, lines: Sequence[PoolLine]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([one.name for one in fields(PoolLine)])
        writer.writerows([*one[:3], *(f"{value:.6f}" for value in one[3:])] for one in map(astuple, lines))
    part.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="nas-bench-macro")
    parser.add_argument("--runtime", choices=("onnxruntime", "ncnn"), default="onnxruntime")
    parser.add_argument("--networks", type=int, default=500, help="networks to draw from the space")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=420.0, help="begin no batch after this")
    parser.add_argument("--turns", type=int, default=24, help="of each network; even")
    parser.add_argument("--runs", type=int, default=5, help="that count in a turn; half as many before them")
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
