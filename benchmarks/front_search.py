"""Share of the true front of accuracy and latency that a search finds, on any table of both.

    python benchmarks/front_search.py --csv FILE --space nas-bench-201 --arch-column edges \
        --accuracy-column c10_test_200ep --latency-column pixel3 --json

Every row is a network; evaluating one gives its accuracy and latency as they stand. What is found is the hypervolume
of the networks evaluated, as a share of the whole table's: up to corner A, the worst accuracy and latency, and up to
corner B, the lower quartile of accuracy and the median latency, where the useful networks are. Searches know A.
Figures at several budgets are taken from one search of the largest.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import csv
import gzip
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ask_tell import run_strategy, show_share
from numpy.typing import NDArray

from fleetnas_controller.strategies.hypervolume import hypervolume
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import CapKind, Cost, Outcome, Problem, Reading
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_search_spaces.written_cells import WrittenCells

_DEVICE = "table"
_MOST_CODES = 100_000


@dataclass(frozen=True, slots=True)
class Table:
    """The truth.

    Attributes:
        error_percent, latency_ms: By architecture key.
        corners: By name, the worst error and latency that count.
    """

    space: SearchSpace
    error_percent: Mapping[str, float]
    latency_ms: Mapping[str, float]
    corners: Mapping[str, NDArray[np.float64]]

    def points(self, keys: Sequence[str]) -> NDArray[np.float64]:
        return np.array([[self.error_percent[key], self.latency_ms[key]] for key in keys])


@dataclass(frozen=True, slots=True)
class Found:
    """Networks in the order of evaluation, and the CPU time that proposing took."""

    keys: tuple[str, ...]
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    table = _table(options)
    budgets = sorted(int(one) for one in options.budgets.split(","))
    every = table.points(list(table.error_percent))
    whole = {name: hypervolume(every, corner) for name, corner in table.corners.items()}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for strategy in options.strategies.split(","):
            run = partial(_search, table, strategy, budgets[-1], options.batch)
            found = list(pool.map(run, seeds))
            for name, corner in table.corners.items():
                for budget in budgets:
                    shares = [
                        100.0 * hypervolume(table.points(one.keys[:budget]), corner) / whole[name]
                        for one in found
                    ]
                    show_share(
                        f"hypervolume_share_{name}@{budget}",
                        shares,
                        strategy,
                        [one.cpu_s for one in found],
                        {
                            "csv": options.csv.name,
                            "latency": options.latency_column,
                            "batch": options.batch,
                        },
                        as_json=options.json,
                    )
    return 0


def _table(options: argparse.Namespace) -> Table:
    space = space_of(options.space)
    with gzip.open(options.csv, "rt") if options.csv.suffix == ".gz" else options.csv.open() as file:
        rows = list(csv.DictReader(file))
    parsed = [space.parse(row[options.arch_column]) for row in rows]
    members = {space.canonical(one) for one in parsed}
    if space.name == WrittenCells().name and len(members) < len(set(parsed)):
        space = WrittenCells()  # several codes of one function: the table is about codes as written
    error = {
        space.canonical(one).key: 100.0 - float(row[options.accuracy_column])
        for one, row in zip(parsed, rows, strict=True)
    }
    latency = {
        space.canonical(one).key: float(row[options.latency_column])
        for one, row in zip(parsed, rows, strict=True)
    }
    missing = [one for one in canonical_members(space, _MOST_CODES) or () if one.key not in error]
    if missing:
        raise SystemExit(f"'{options.csv}' lacks {len(missing)} networks of the space, e.g. {missing[0].key}")
    errors, latencies = list(error.values()), list(latency.values())
    corners = {
        "A": np.array([max(errors), max(latencies)]),
        "B": np.array([np.percentile(errors, 75.0), np.median(latencies)]),
    }
    return Table(space, error, latency, corners)


def _search(table: Table, strategy_name: str, budget: int, batch: int, seed: int) -> Found:
    worst_error, worst_ms = table.corners["A"]
    cost = Cost(CapKind.LATENCY_MS, _DEVICE, float(worst_ms))
    problem = Problem(table.space, costs=(cost,), worst_accuracy=100.0 - float(worst_error))
    began_s = time.process_time()
    # A table has no noise: without this all of the predictor's searches would be one.
    own = {"design_seed": seed} if strategy_name == "predictor" else {}
    strategy = create_strategy(strategy_name, problem, budget=budget, options=own)

    def evaluate(number: int, one: Architecture) -> Outcome:
        reading = Reading(table.latency_ms[one.key])
        return Outcome(number, one, 100.0 - table.error_percent[one.key], {_DEVICE: reading})

    told = run_strategy(strategy, budget, batch, seed, evaluate)
    return Found(tuple(one.architecture.key for one in told), time.process_time() - began_s)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", type=Path, required=True, help="a table, .csv or .csv.gz")
    parser.add_argument("--space", default="nas-bench-201")
    parser.add_argument("--arch-column", default="arch")
    parser.add_argument("--accuracy-column", default="accuracy", help="percent")
    parser.add_argument("--latency-column", default="latency_ms")
    parser.add_argument("--budgets", default="50,100,200", help="comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--strategies", default="predictor,optuna-nsga2,optuna-tpe,random", help="comma-separated"
    )
    parser.add_argument("--batch", type=int, default=4, help="evaluations under way at a time")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
