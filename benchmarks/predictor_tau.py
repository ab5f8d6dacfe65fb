"""How well the accuracy model ranks NAS-Bench-Macro from a few noisy trainings.

    python benchmarks/predictor_tau.py --seeds 20 --json

Trained: random networks, each one of its three published trainings. Kendall's tau over all other networks of the
space between the predicted and the mean accuracy of the three. One training against the mean of the other two has
.896, which is the noise of the data (seen elsewhere).
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
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random

import numpy as np
from scipy.stats import kendalltau

from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import AccuracyModel
from fleetnas_training.accuracy_source import accuracy_source

_BEST_SHARE = 0.2
_PEER = "ridge regression, seen elsewhere"
_RIDGE: Mapping[int, float] = {50: 0.768, 100: 0.822, 200: 0.841}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        for count in (int(one) for one in options.counts.split(",")):
            found = list(pool.map(partial(_taus, count), seeds))
            _show(f"tau@{count}", [whole for whole, _ in found], _RIDGE.get(count), options)
            _show(f"tau_best_fifth@{count}", [best for _, best in found], None, options)
    return 0


def _taus(count: int, seed: int) -> tuple[float, float]:
    """Over all unseen networks, and over the best fifth of them."""
    macro = space("nas-bench-macro")
    members = list(canonical_members(macro, 10_000) or ())
    Random(f"networks {seed}").shuffle(members)
    trained, unseen = members[:count], members[count:]
    single = accuracy_source("table:nas-bench-macro:single", seed=seed)
    accuracies = [single.evaluate(one, number).value_percent for number, one in enumerate(trained)]
    predicted = AccuracyModel(macro, trained, accuracies, noisy=True).predict(unseen).mean_percent
    mean = accuracy_source("table:nas-bench-macro")
    truth = np.array([mean.evaluate(one, 0).value_percent for one in unseen])
    best = truth >= np.quantile(truth, 1.0 - _BEST_SHARE)
    return (
        float(kendalltau(predicted, truth).statistic),
        float(kendalltau(predicted[best], truth[best]).statistic),
    )


def _show(name: str, taus: Sequence[float], peer: float | None, options: argparse.Namespace) -> None:
    error = statistics.stdev(taus) / math.sqrt(len(taus)) if len(taus) > 1 else 0.0
    value = statistics.mean(taus)
    line = {
        "name": name,
        "value": round(value, 4),
        "unit": "",
        "low": round(value - 2 * error, 4),
        "high": round(value + 2 * error, 4),
        "peer": None if peer is None else _PEER,
        "peer_value": peer,
        "setting": {"seeds": len(taus), "first_seed": options.first_seed},
    }
    text = f"{name:20s} {value:.4f} [{line['low']}, {line['high']}]"
    print(json.dumps(line) if options.json else text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="20,50,100,200", help="trainings, comma-separated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
