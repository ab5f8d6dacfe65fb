"""Regret at equal epochs: every training to the end, or the unpromising ones ended after 12 of 200 epochs.

    FLEETNAS_DATA=... python benchmarks/multi_fidelity.py --json

NAS-Bench-201, CIFAR-10: accuracies after 12 and after 200 epochs, which are two trainings (each with a learning rate
of its own), so a network that goes on is paid 212. A training that would end after the budget does not count. The
answer is the best network trained for 200 epochs, its regret the best accuracy of the table less its own, in points.
Budgets are in trainings of 200 epochs.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from random import Random

from figures import mean_line, show_line

from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_training.curve_table import CurveTable, read_nas_bench_201
from fleetnas_training.staged_training import RULES, StagedTraining

_FULL = "full"
_EVERY_EPOCH = 200


@dataclass(frozen=True, slots=True)
class Run:
    """What a search of the largest budget did, in the order of its trainings.

    Attributes:
        steps: (epochs spent so far, accuracy after 200 epochs or None where the training was ended).
    """

    steps: tuple[tuple[int, float | None], ...]

    def best_percent(self, epochs: int) -> float:
        """The best network trained to the end within so many epochs."""
        return max(
            (value for spent, value in self.steps if value is not None and spent <= epochs), default=0.0
        )

    def begun(self, epochs: int) -> int:
        return sum(spent <= epochs for spent, _ in self.steps)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    budgets = sorted(int(one) for one in options.budgets.split(","))
    table = read_nas_bench_201()
    cells = space("nas-bench-201")
    members = canonical_members(cells, 100_000) or ()
    best = max(table.evaluate(one, 0).value_percent for one in members)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for strategy in options.strategies.split(","):
            for rule in options.rules.split(","):
                run = partial(_search, table, strategy, rule, budgets[-1] * _EVERY_EPOCH)
                runs = list(pool.map(run, seeds))
                for budget in budgets:
                    epochs = budget * _EVERY_EPOCH
                    regrets = [best - one.best_percent(epochs) for one in runs]
                    begun = statistics.mean(one.begun(epochs) for one in runs)
                    _show(f"regret@{budget}", regrets, begun, strategy, rule, options)
    return 0


def _search(table: CurveTable, strategy_name: str, rule: str, budget_epochs: int, seed: int) -> Run:
    # The table is exact: without this all of the predictor's searches would be one.
    own = {"design_seed": seed} if strategy_name == "predictor" else {}
    strategy = create_strategy(strategy_name, Problem(space("nas-bench-201")), options=own)
    training = None if rule == _FULL else StagedTraining(table, RULES[rule])
    steps: list[tuple[int, float | None]] = []
    spent = 0
    while spent < budget_epochs:
        number = len(steps)
        one = strategy.ask([], Random(f"ask {seed} {number}"))
        if training is None:
            final, finished, cost = table.evaluate(one, number).value_percent, True, _EVERY_EPOCH
        else:
            _, curve = training.train(one, number)
            training.remember(curve)
            final, finished, cost = curve.final_percent, curve.finished, curve.spent_epochs
        spent += cost
        steps.append((spent, final if finished else None))
        strategy.tell(Outcome(number, one, final), Random(f"tell {seed} {number}"))
    return Run(tuple(steps))


def _show(
    name: str,
    regrets: Sequence[float],
    begun: float,
    strategy: str,
    rule: str,
    options: argparse.Namespace,
) -> None:
    setting = {
        "strategy": strategy,
        "rule": rule,
        "trainings": round(begun, 1),
        "reached_best": sum(one < 1e-9 for one in regrets),
    }
    label = f"{strategy:10s} {rule:8s} {name:11s} {begun:.0f} trainings:"
    show_line(mean_line(name, regrets, "points", setting), label, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategies", default="random,evolution,predictor", help="comma-separated")
    parser.add_argument("--rules", default=",".join((_FULL, *RULES)), help="comma-separated")
    parser.add_argument("--budgets", default="10,20,40", help="in trainings of 200 epochs, comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
