"""Does the native runner on ncnn rank networks as ONNX Runtime does, on one machine?

``benchmarks/runner_ranks.py [--networks N] [--core C] [--json]``. Needs the native runner (``make runner
TARGET=x86_64``). Each network runs beside the reference in both runtimes, so that the machine's weather cancels; the
figures are of the lowest decile of the CPU time, which moves least on a shared machine.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import subprocess
import tempfile
import time
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from fleetnas_agents.drivers.runner_file import find_runner
from fleetnas_agents.drivers.runner_output import RunnerOutput
from fleetnas_agents.ncnn_job import RunnerFiles, job_text, sample_input
from fleetnas_agents.runner_answer import measurement_of
from fleetnas_agents.runtimes.registry import runtime_of
from fleetnas_agents.runtimes.runtime import TimedNetwork
from fleetnas_latency.measurement import Evidence, Measurement, Plan, judge, measure
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

PLAN = Plan(
    statistic=Statistic.CPU_P10, min_duration_s=1.5, max_duration_s=2.0, warmup_min_s=0.2, warmup_cap_s=1.0
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    found = space("mobilenet-v2-paper")
    rng = Random(0)
    networks = [found.canonical(found.sample(rng)) for _ in range(args.networks)]
    with tempfile.TemporaryDirectory() as folder:
        pairs = [both(found, one, Path(folder), args.core) for one in networks]
    setting = {
        "space": found.name,
        "networks": len(pairs),
        "onnxruntime": runtime_of("onnxruntime").version(),
        "threads": 1,
        "statistic": "cpu_p10",
    }
    figures = [
        ("runner_kendall_tau", tau([(a.estimate.value, b.estimate.value) for a, b in pairs]), "1"),
        ("runner_anchored_kendall_tau", tau([(_ratio(a), _ratio(b)) for a, b in pairs]), "1"),
        ("runner_over_onnxruntime", median(b.estimate.value / a.estimate.value for a, b in pairs), "1"),
    ]
    for name, value, unit in figures:
        figure = {
            "name": name,
            "value": round(value, 4),
            "unit": unit,
            "peer": "onnxruntime",
            "peer_value": None,
        }
        print(json.dumps(figure | {"setting": setting}) if args.json else f"{name}: {value:.3f}", flush=True)


def both(found: SearchSpace, one: Architecture, folder: Path, core: int) -> tuple[Measurement, Measurement]:
    """The network in ONNX Runtime and in the runner, each beside the reference."""
    pool = WeightPool(folder)
    models = {"net": one, "anchor": found.canonical(found.reference)}
    for name, architecture in models.items():
        graph = found.graph(architecture)
        (folder / f"{name}.onnx").write_bytes(emit_onnx(graph, pool, key=name).model_bytes)
        model = emit_ncnn(graph, pool, key=name)
        (folder / f"{name}.param").write_text(model.param_text)
        (folder / f"{name}.bin").write_bytes(model.bin_bytes)
    runtime = runtime_of("onnxruntime")
    runners = [TimedNetwork(runtime.load(folder / f"{name}.onnx", 1)) for name in models]
    onnx = judge(measure(runners[0], runners[1], PLAN, time.monotonic), PLAN, Evidence())
    return onnx, in_runner(folder, core)


def in_runner(folder: Path, core: int, plan: Plan = PLAN) -> Measurement:
    texts = [(folder / f"{name}.param").read_text() for name in ("net", "anchor")]
    (folder / "input").write_bytes(sample_input(texts))
    paths: Any = {name: (f"{folder}/{name}.param", f"{folder}/{name}.bin") for name in ("net", "anchor")}
    files = RunnerFiles((paths["net"],), paths["anchor"], f"{folder}/input", {})
    (folder / "job").write_text(job_text(files, plan, (core,), 120.0))
    command = [str(find_runner(None, "x86_64")), str(folder / "job")]
    done = subprocess.run(command, capture_output=True, check=False)
    output = RunnerOutput()
    output.feed(done.stdout + f"\nended {done.returncode}\n".encode())
    return measurement_of(output.result(), plan, {})


def tau(pairs: list[tuple[float, float]]) -> float:
    """Kendall's tau of the two columns; ties do not occur in measured times."""
    signs = [(a[0] - b[0]) * (a[1] - b[1]) for a, b in combinations(pairs, 2)]
    return sum(1 if one > 0.0 else -1 for one in signs) / len(signs)


def _ratio(result: Measurement) -> float:
    assert result.ratio is not None  # every measurement here has an anchor
    return result.ratio.value


if __name__ == "__main__":
    main()
