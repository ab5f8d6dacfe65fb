"""Regret of every strategy on NAS-Bench-Macro, noisy accuracies, beside the figures of public searchers.

Each evaluation returns one of the three published trainings; a network may be trained again, which counts as an
evaluation. Regret: best mean accuracy of the space (under the cap, if there is one) minus that of the answer, in
percentage points. Every budget is a run of its own, for a strategy may plan ahead.

    python benchmarks/macro_search.py --seeds 20 --json
    python benchmarks/macro_search.py --latency-csv cpu.csv --cap-fraction 0.6 --latency-noise 0.02 --json
"""

import argparse
import csv
import gzip
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy: small problems
    os.environ.setdefault(_variable, "1")

import numpy as np

from fleetnas_controller.ranking import rank_observed
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Ranks, Reading
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_training.accuracy_source import accuracy_source

BUDGETS = (50, 100, 200)
STRATEGIES = ("predictor", "evolution", "annealing", "random", "optuna-tpe", "optuna-nsga2", "optuna-cmaes")

# Measured with the searchers' own code on the same protocol, 6 to 12 seeds, answer = best observed value.
PEERS = {
    "predictor": ("ridge-guided", (0.126, 0.058, 0.067)),
    "evolution": ("regularized evolution", (0.214, 0.096, 0.072)),
    "annealing": ("simulated annealing", (0.371, 0.211, 0.078)),
    "random": ("random", (0.379, 0.304, 0.296)),
    "optuna-tpe": ("Optuna TPE", (0.124, 0.171, 0.141)),
    "optuna-nsga2": ("Optuna NSGA-II", (0.277, 0.238, 0.095)),
    "optuna-cmaes": ("Optuna CMA-ES", (0.161, 0.108, 0.069)),
}


@dataclass(frozen=True)
class Task:
    strategy: str
    budget: int
    seed: int
    latency_csv: Path | None
    cap_fraction: float
    latency_noise: float


@dataclass(frozen=True)
class Answer:
    regret: float
    over_cap: bool
    reached_reference: bool


@cache
def truth(latency_csv: Path | None) -> tuple[dict[Architecture, float], dict[Architecture, float]]:
    """Mean accuracy and, with a table, latency of every canonical network."""
    space, source = NASBenchMacro(), accuracy_source("table:nas-bench-macro")
    members = canonical_members(space, 20_000) or ()
    accuracy = {one: source.evaluate(one, 0).value_percent for one in members}
    if latency_csv is None:
        return accuracy, {}
    with gzip.open(latency_csv, "rt") if latency_csv.suffix == ".gz" else latency_csv.open() as file:
        rows = [
            (space.canonical(space.parse(row["arch"])), float(row["latency_ms"]))
            for row in csv.DictReader(file)
        ]
    return accuracy, dict(rows)


def run(task: Task) -> Answer:
    space, source = NASBenchMacro(), accuracy_source("table:nas-bench-macro:single")
    accuracy, latency = truth(task.latency_csv)
    limit = task.cap_fraction * latency[space.reference] if latency else math.inf
    caps = (Cap(CapKind.LATENCY_MS, limit, "table"),) if latency else ()
    strategy = create_strategy(task.strategy, Problem(space, caps, accuracy_noise=True), budget=task.budget)
    oracle = Random(f"oracle/{task.seed}")
    outcomes = []
    for number in range(task.budget):
        one = strategy.ask((), Random(f"{task.seed}/ask/{number}"))
        value = source.evaluate(one, task.seed * 1000 + number).value_percent
        readings = {}
        if latency:
            seen = latency[one] * math.exp(oracle.gauss(0.0, task.latency_noise))
            readings["table"] = Reading(seen, task.latency_noise * seen)
        outcomes.append(Outcome(number, one, value, readings))
        strategy.tell(outcomes[-1], Random(f"{task.seed}/tell/{number}"))
    if isinstance(strategy, Ranks):
        answer = strategy.rank()[0]
    else:
        best = rank_observed(outcomes, caps)[0]
        answer = next(one.architecture for one in outcomes if one.architecture.key == best)
    allowed = [value for one, value in accuracy.items() if not latency or latency[one] <= limit]
    over = bool(latency) and latency[answer] > limit
    return Answer(max(allowed) - accuracy[answer], over, accuracy[answer] >= accuracy[space.reference])


def figures(
    name: str, answers: Mapping[int, list[Answer]], setting: dict[str, object]
) -> Iterator[dict[str, object]]:
    peer, values = PEERS.get(name, ("", (None, None, None)))
    for budget, value in zip(BUDGETS, values, strict=True):
        kept = np.array([one.regret for one in answers[budget] if not one.over_cap])
        half = 1.96 * kept.std(ddof=1) / math.sqrt(len(kept)) if len(kept) > 1 else math.nan
        mean = float(kept.mean()) if len(kept) else math.nan
        yield {
            "name": f"regret@{budget}", "value": round(mean, 4), "low": round(mean - half, 4),
            "high": round(mean + half, 4), "unit": "percentage points", "peer": peer,
            "peer_value": value if not setting["latency_csv"] else None, "setting": setting,
        }  # fmt: skip
    if setting["latency_csv"]:
        over = sum(one.over_cap for budget in BUDGETS for one in answers[budget])
        reached = sum(one.reached_reference and not one.over_cap for one in answers[100])
        for label, count in (("over_cap", over), ("reached_reference@100", reached)):
            yield {
                "name": label,
                "value": count,
                "unit": "answers",
                "peer": "",
                "peer_value": None,
                "setting": setting,
            }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--latency-csv", type=Path)
    parser.add_argument("--cap-fraction", type=float, default=0.6)
    parser.add_argument("--latency-noise", type=float, default=0.02)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.jobs) as pool:
        for name in args.strategies.split(","):
            seeds = range(args.first_seed, args.first_seed + args.seeds)
            cap = (args.latency_csv, args.cap_fraction, args.latency_noise)
            tasks = [Task(name, budget, seed, *cap) for budget in BUDGETS for seed in seeds]
            answers: dict[int, list[Answer]] = {budget: [] for budget in BUDGETS}
            for task, answer in zip(tasks, pool.map(run, tasks), strict=True):
                answers[task.budget].append(answer)
            setting = {
                "strategy": name, "seeds": args.seeds, "first_seed": args.first_seed,
                "latency_csv": str(args.latency_csv or ""), "cap_fraction": args.cap_fraction,
            }  # fmt: skip
            for figure in figures(name, answers, setting):
                if args.json:
                    print(json.dumps(figure), flush=True)
                else:
                    print(
                        f"{name:14} {figure['name']:22} {figure['value']}  peer {figure['peer_value']}",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
