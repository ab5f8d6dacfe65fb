"""How well the accuracy model ranks NAS-Bench-Macro from a few noisy trainings.

    python benchmarks/predictor_tau.py --seeds 20 --json
    python benchmarks/predictor_tau.py --models gaussian-process,bayesian-ridge,boosting,deep-ensemble --seeds 8

Trained: random networks, each one of its three published trainings. Kendall's tau over all other networks of the
space between the predicted and the mean accuracy of the three. One training against the mean of the other two has
.896, which is the noise of the data (seen elsewhere).
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random

import numpy as np
from figures import mean_line, show_line
from numpy.typing import NDArray
from scipy.stats import kendalltau

from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import AccuracyPrediction, fit_accuracy_model
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.trainings import Trainings

Floats = NDArray[np.float64]

_BEST_SHARE = 0.2
_PEER = "ridge regression, seen elsewhere"
_RIDGE: Mapping[int, float] = {50: 0.768, 100: 0.822, 200: 0.841}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    names = tuple(options.models.split(","))
    with ProcessPoolExecutor(options.jobs) as pool:
        for count in (int(one) for one in options.counts.split(",")):
            found = list(pool.map(partial(_measured, count, names), seeds))
            for model in found[0]:
                for name in found[0][model]:
                    peer = _RIDGE.get(count) if name == "tau" else None
                    _show(f"{name}@{count}", model, [one[model][name] for one in found], peer, options)
    return 0


def _measured(count: int, names: tuple[str, ...], seed: int) -> dict[str, dict[str, float]]:
    """Figures of each model, of the chosen one and of that of the least rank loss, over all networks not trained."""
    macro = space("nas-bench-macro")
    members = list(canonical_members(macro, 10_000) or ())
    Random(f"networks {seed}").shuffle(members)
    trained, unseen = members[:count], members[count:]
    single = accuracy_source("table:nas-bench-macro:single", seed=seed)
    accuracies = [single.evaluate(one, number).value_percent for number, one in enumerate(trained)]
    model, candidates = fit_accuracy_model(Trainings.of(macro, trained, accuracies), names)
    mean = accuracy_source("table:nas-bench-macro")
    truth = np.array([mean.evaluate(one, 0).value_percent for one in unseen])
    once = np.array([single.evaluate(one, count + row).value_percent for row, one in enumerate(unseen)])
    figures = {
        one.family: _figures(model.with_candidate(one).predict(unseen), truth, once) for one in candidates
    }
    if len(names) == 1:
        return figures
    least = min(candidates, key=lambda one: one.judgement.rank_loss)
    return {**figures, "chosen": figures[candidates[0].family], "least rank loss": figures[least.family]}


def _figures(found: AccuracyPrediction, truth: Floats, once: Floats) -> dict[str, float]:
    """Tau over all, and over the best fifth; share of one training of each that is inside the 90 % interval."""
    best = truth >= np.quantile(truth, 1.0 - _BEST_SHARE)
    inside = (found.low_percent <= once) & (once <= found.high_percent)
    return {
        "tau": float(kendalltau(found.mean_percent, truth).statistic),
        "tau_best_fifth": float(kendalltau(found.mean_percent[best], truth[best]).statistic),
        "coverage_90": float(inside.mean()),
    }


def _show(
    name: str, model: str, taus: Sequence[float], peer: float | None, options: argparse.Namespace
) -> None:
    setting = {"model": model, "first_seed": options.first_seed}
    line = mean_line(name, taus, "", setting, peer=None if peer is None else _PEER, peer_value=peer)
    show_line(line, f"{model:18s} {name:20s}", as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="20,50,100,200", help="trainings, comma-separated")
    parser.add_argument("--models", default="gaussian-process", help="names of families, comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
