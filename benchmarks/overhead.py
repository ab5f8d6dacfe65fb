"""CPU time of one ask and one tell at 100, 1,000 and 5,000 finished trials, for every strategy.

python benchmarks/overhead.py --json
"""

import argparse
import json
import os
import sys
import time
from random import Random

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_training.accuracy_source import accuracy_source

STRATEGIES = ("predictor", "evolution", "annealing", "random", "optuna-tpe", "optuna-nsga2", "optuna-cmaes")

# CPU ms per trial of Optuna 5.0.0 alone, in memory, 17 parameters of 5 choices, at the same counts.
PEERS = {
    "predictor": ("Optuna TPE", {100: 3.8, 1000: 20.2, 5000: 495.0}),
    "optuna-tpe": ("Optuna TPE", {100: 3.8, 1000: 20.2, 5000: 495.0}),
    "optuna-nsga2": ("Optuna NSGA-II", {100: 1.0, 1000: 1.3, 5000: 4.5}),
    "optuna-cmaes": ("Optuna CMA-ES", {100: 4.5, 1000: 1.8, 5000: 7.8}),
    "random": ("Optuna random", {100: 0.7, 1000: 1.1, 5000: 2.0}),
}


def measure(name: str, counts: tuple[int, ...], repeats: int) -> dict[int, list[float]]:
    """CPU milliseconds of ask plus tell around each count of finished trials."""
    space, source = NASBenchMacro(), accuracy_source("table:nas-bench-macro:single")
    strategy = create_strategy(name, Problem(space, accuracy_noise=True), budget=None)
    filler = Random(0)
    found: dict[int, list[float]] = {}
    number = 0
    for count in counts:
        while number < count:
            one = space.canonical(space.sample(filler))
            value = source.evaluate(one, number).value_percent
            strategy.tell(Outcome(number, one, value), Random(number))
            number += 1
        found[count] = []
        for _ in range(repeats):
            begin = time.process_time()
            one = strategy.ask((), Random(number))
            strategy.tell(Outcome(number, one, source.evaluate(one, number).value_percent), Random(number))
            found[count].append(1000.0 * (time.process_time() - begin))
            number += 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--counts", default="100,1000,5000")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    counts = tuple(int(one) for one in args.counts.split(","))
    for name in args.strategies.split(","):
        peer, values = PEERS.get(name, ("", {}))
        for count, spent in measure(name, counts, args.repeats).items():
            setting = {"strategy": name, "finished": count, "repeats": args.repeats}
            for label, value in (("p50", float(np.median(spent))), ("max", max(spent))):
                figure = {
                    "name": f"ask_tell_cpu_{label}@{count}", "value": round(value, 3), "unit": "ms",
                    "peer": peer if label == "p50" else "",
                    "peer_value": values.get(count) if label == "p50" else None, "setting": setting,
                }  # fmt: skip
                if args.json:
                    print(json.dumps(figure), flush=True)
                else:
                    print(
                        f"{name:14} {figure['name']:24} {figure['value']} ms  peer {figure['peer_value']}",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
