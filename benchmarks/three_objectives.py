"""Accuracy, latency and parameters at once, in a space too large to list: mobilenet-v2, 2e17 networks.

    python benchmarks/three_objectives.py --strategies predictor,optuna-nsga3 --seeds 20 --json

Made up, and the same for every strategy: accuracy is 100 times the quality of ``surrogate_search``; latency is 2 ms,
1 ms for each 20 M MACs and 0.1 ms for each block, times a factor of the network's own of 5 % spread; parameters are
counted. The volume found counts up to 20 %, 40 ms and 8 M parameters; it is given as a share of what all runs of this
call found together, since nobody knows the true front.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random

import numpy as np
from ask_tell import run_strategy, show_share
from numpy.typing import NDArray
from surrogate_search import quality

from fleetnas_controller.strategies.hypervolume import hypervolume, nondominated
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import CapKind, Cost, Outcome, Problem, Reading
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.registry import space

_WORST_ACCURACY, _WORST_MS, _WORST_PARAMS = 20.0, 40.0, 8e6
_CORNER = np.array([100.0 - _WORST_ACCURACY, _WORST_MS, _WORST_PARAMS])
_DEVICE = "made up"

Floats = NDArray[np.float64]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    budgets = sorted(int(one) for one in options.budgets.split(","))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs: dict[str, list[tuple[Floats, float]]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for strategy in options.strategies.split(","):
            runs[strategy] = list(pool.map(partial(_search, strategy, budgets[-1], options.batch), seeds))
    every = np.vstack([points for found in runs.values() for points, _ in found])
    whole = hypervolume(every[nondominated(every)], _CORNER)
    for strategy, found in runs.items():
        for budget in budgets:
            shares = [100.0 * hypervolume(points[:budget], _CORNER) / whole for points, _ in found]
            cpu_s = [cpu_s for _, cpu_s in found]
            setting = {"batch": options.batch}
            name = f"hypervolume_share@{budget}"
            show_share(name, shares, strategy, cpu_s, setting, as_json=options.json)
    return 0


def _search(strategy_name: str, budget: int, batch: int, seed: int) -> tuple[Floats, float]:
    """Error, milliseconds and parameters in the order of evaluation, shape ``(budget, 3)``; CPU seconds."""
    costs = (Cost(CapKind.LATENCY_MS, _DEVICE, _WORST_MS), Cost(CapKind.PARAMS, worst=_WORST_PARAMS))
    problem = Problem(space("mobilenet-v2"), costs=costs, worst_accuracy=_WORST_ACCURACY)
    own = {"design_seed": seed} if strategy_name == "predictor" else {}
    began_s = time.process_time()
    strategy = create_strategy(strategy_name, problem, budget=budget, options=own)
    told = run_strategy(strategy, budget, batch, seed, partial(_outcome, problem))
    points = [[100.0 - (one.accuracy or 0.0), one.latencies[_DEVICE].value, one.params] for one in told]
    return np.array(points, dtype=np.float64), time.process_time() - began_s


def _outcome(problem: Problem, number: int, one: Architecture) -> Outcome:
    graph = problem.space.graph(one)
    own_factor = 1.0 + 0.05 * Random(one.key).gauss(0.0, 1.0)
    latency_ms = (2.0 + macs(graph) / 20e6 + 0.1 * len(graph.blocks)) * own_factor
    readings = {_DEVICE: Reading(latency_ms)}
    return Outcome(number, one, 100.0 * quality(one), readings, macs(graph), params(graph))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--strategies",
        default="predictor,optuna-nsga3,optuna-nsga2,optuna-tpe,random",
        help="comma-separated",
    )
    parser.add_argument("--budgets", default="50,100,200", help="comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=4, help="evaluations under way at a time")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
