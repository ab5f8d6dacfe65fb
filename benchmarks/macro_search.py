"""Regret on NAS-Bench-Macro after 50, 100 and 200 noisy evaluations, beside the peers' figures.

    python benchmarks/macro_search.py --strategies predictor,optuna-tpe --seeds 20 --json
    python benchmarks/macro_search.py --latency-csv FILE --cap-fraction 0.6 --latency-noise 0.02 --json

An evaluation is one of the three published trainings, chosen at random; regret is the best mean accuracy under the
true cap minus the answer's, in points. Each budget is a search of its own, which is told its budget.
An answer over the cap counts in ``over_cap`` and is left out of the regret.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from searching import Answer, macro_task, search

_DEFAULT = "random,annealing,evolution,predictor,optuna-tpe,optuna-nsga2,optuna-cmaes"
_PEERS: Mapping[str, tuple[str, Mapping[int, float]]] = {
    "random": ("random search", {50: 0.379, 100: 0.304, 200: 0.296}),
    "annealing": ("simulated annealing", {50: 0.371, 100: 0.211, 200: 0.078}),
    "evolution": ("regularized evolution", {50: 0.214, 100: 0.096, 200: 0.072}),
    "predictor": ("ridge-guided search", {50: 0.126, 100: 0.058, 200: 0.067}),
    "optuna-tpe": ("Optuna TPE", {50: 0.124, 100: 0.171, 200: 0.141}),
    "optuna-nsga2": ("Optuna NSGA-II", {50: 0.277, 100: 0.238, 200: 0.095}),
    "optuna-cmaes": ("Optuna CMA-ES", {50: 0.161, 100: 0.108, 200: 0.069}),
}
"""Measured apart, before this project, with other seeds: 20, of Optuna's samplers 10. No cap."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    budgets = [int(one) for one in options.budgets.split(",")]
    own = dict(one.split("=", 1) for one in options.option)
    task = macro_task(options.latency_csv, options.cap_fraction, options.latency_noise)
    with ProcessPoolExecutor(options.jobs) as pool:
        for strategy in options.strategies.split(","):
            over = 0
            for budget in budgets:
                run = partial(search, task, strategy, budget, batch=options.batch, options=own)
                seeds = range(options.first_seed, options.first_seed + options.seeds)
                answers = list(pool.map(run, seeds))
                over += sum(one.over_cap for one in answers)
                for line in _lines(strategy, budget, answers, options, capped=task.limit_ms is not None):
                    _show(line, options)
            if task.limit_ms is not None:
                searches = options.seeds * len(budgets)
                _show(_count("over_cap", over, {"strategy": strategy, "searches": searches}), options)
    return 0


def _lines(
    strategy: str, budget: int, answers: list[Answer], options: argparse.Namespace, *, capped: bool
) -> Iterator[dict[str, object]]:
    setting = {
        "strategy": strategy,
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "batch": options.batch,
        "options": options.option,
        "cap_fraction": options.cap_fraction if capped else None,
        "latency_noise": options.latency_noise if capped else None,
        "networks": round(statistics.mean(one.distinct_count for one in answers), 1),
    }
    kept = [one.regret for one in answers if not one.over_cap]
    peer, figures = _PEERS.get(strategy, ("", {}))
    value, spread = _mean_and_error(kept)
    yield {
        "name": f"regret@{budget}",
        "value": value,
        "unit": "points",
        "low": None if value is None else round(value - 2 * spread, 4),
        "high": None if value is None else round(value + 2 * spread, 4),
        "peer": None if capped else peer or None,
        "peer_value": None if capped else figures.get(budget),
        "setting": setting,
    }
    if capped:
        reached = sum(one.reached_reference and not one.over_cap for one in answers)
        yield _count(f"reached_reference@{budget}", reached, setting)


def _count(name: str, value: int, setting: Mapping[str, object]) -> dict[str, object]:
    blank = dict.fromkeys(("low", "high", "peer", "peer_value"))
    return {"name": name, "value": value, "unit": "searches", **blank, "setting": setting}


def _mean_and_error(values: Sequence[float]) -> tuple[float | None, float]:
    """Mean and its standard error."""
    if not values:
        return None, 0.0
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return round(statistics.mean(values), 4), error


def _show(line: Mapping[str, object], options: argparse.Namespace) -> None:
    print(json.dumps(line) if options.json else _text(line), flush=True)


def _text(line: Mapping[str, Any]) -> str:
    peer = f"   {line['peer']}: {line['peer_value']}" if line["peer_value"] is not None else ""
    interval = f" [{line['low']}, {line['high']}]" if line["low"] is not None else ""
    return (
        f"{line['setting']['strategy']:14s} {line['name']:22s} {line['value']}{interval} {line['unit']}{peer}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategies", default=_DEFAULT, help="comma-separated")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the strategies"
    )
    parser.add_argument("--budgets", default="50,100,200", help="comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=4, help="evaluations under way at a time")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--latency-csv", type=Path, help="columns arch,latency_ms; every canonical network")
    parser.add_argument("--cap-fraction", type=float, default=0.6, help="of the reference's latency")
    parser.add_argument("--latency-noise", type=float, default=0.02, help="relative, of one measurement")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
