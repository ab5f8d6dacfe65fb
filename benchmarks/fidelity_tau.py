"""What short trainings teach the accuracy model about long ones, on NAS-Bench-201.

    FLEETNAS_DATA=... python benchmarks/fidelity_tau.py --seeds 10 --json

Trained: random networks for 200 epochs, and none, the same or more of them for 12 epochs, on CIFAR-10. Kendall's tau
between predicted and published 200-epoch accuracies over 2,000 networks trained at neither. The model is a Gaussian
process; "always" takes the short trainings in, "chosen" as ``fit_accuracy_model`` does, "least_loss" where that
lowers the cross-validated rank loss at all. "short only" is over the networks that were trained for 12 epochs and not
for 200.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random

from figures import mean_line, show_line
from scipy.stats import kendalltau

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import AccuracyModel, fit_accuracy_model
from fleetnas_training.curve_table import CurveTable, read_nas_bench_201
from fleetnas_training.trainings import Training, Trainings

_UNSEEN = 2_000
_LOW, _HIGH = 12, 200


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    table = read_nas_bench_201()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for count in (int(one) for one in options.counts.split(",")):
            for times in (int(one) for one in options.times.split(",")):
                found = list(pool.map(partial(_measured, table, count, times), seeds))
                for name in found[0]:
                    _show(f"{name}@{count}", [one[name] for one in found], times, options)
    return 0


def _measured(table: CurveTable, count: int, times: int, seed: int) -> dict[str, float]:
    """Taus of one seed, by name; ``times`` as many networks have a short training as have a long one."""
    cells = space("nas-bench-201")
    members = list(canonical_members(cells, 20_000) or ())
    Random(f"networks {seed}").shuffle(members)
    short, unseen = members[: count * times], members[-_UNSEEN:]
    epochs = [(one, _HIGH) for one in members[:count]] + [(one, _LOW) for one in short]
    rows = tuple(Training(one, _after(table, one, e), str(e)) for one, e in epochs)
    levels = (str(_LOW), str(_HIGH)) if times else (str(_HIGH),)
    model, candidates = fit_accuracy_model(Trainings(cells, rows, levels), ["gaussian-process"])
    chosen = _tau(model, table, unseen)
    if not times:
        return {"tau": chosen}
    always = next(one for one in candidates if one.low)
    with_low = model.with_candidate(always)
    least = min(candidates, key=lambda one: one.judgement.rank_loss)
    half = short[count:]
    found = {
        "tau_always": _tau(with_low, table, unseen),
        "tau_chosen": chosen,
        "tau_least_loss": _tau(model.with_candidate(least), table, unseen),
        "taken_in": float(bool(candidates[0].low)),
        "taken_in_least_loss": float(bool(least.low)),
        "rho": always.stage.rho,
    }
    return {**found, "tau_short_only": _tau(with_low, table, half)} if half else found


def _after(table: CurveTable, one: Architecture, epochs: int) -> float:
    """Its accuracy after so many epochs, in percent."""
    return next(point.accuracy.value_percent for point in table.curve(one, 0) if point.epochs == epochs)


def _tau(model: AccuracyModel, table: CurveTable, networks: Sequence[Architecture]) -> float:
    truth = [table.evaluate(one, 0).value_percent for one in networks]
    return float(kendalltau(model.predict(networks).mean_percent, truth).statistic)


def _show(name: str, values: Sequence[float], times: int, options: argparse.Namespace) -> None:
    setting = {"short_trainings_for_each_long": times, "first_seed": options.first_seed}
    label = f"{name:16s} {times} short for each long:"
    show_line(mean_line(name, values, "", setting), label, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="20,50,100,200", help="long trainings, comma-separated")
    parser.add_argument("--times", default="0,1,5", help="short trainings for each long one, comma-separated")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
