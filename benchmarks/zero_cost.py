"""What scores of untrained networks say of accuracies on NAS-Bench-Macro, and what they add to the accuracy model.

    FLEETNAS_DATA=... python benchmarks/zero_cost.py --networks 100 --seeds 10 --json

Random networks; each score is computed once on one batch (CIFAR-10 where the data folder has it). Kendall's tau of
each score against the mean accuracy of the three trainings; then, for each seed, a Gaussian process learns from some
of the networks, one training each, and ranks the others: without scores, and with those that the cross-validated
ranks keep, which may be none.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from figures import mean_line, show_line
from scipy.stats import kendalltau

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import distinct_samples
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import fit_accuracy_model
from fleetnas_training.accuracy_models.score_batch import score_batch
from fleetnas_training.accuracy_models.scores import ScoreCache, ZeroCostScores
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.trainings import Trainings

_NAMES = ("synflow", "jacob_cov", "grad_norm")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    macro, mean = space("nas-bench-macro"), accuracy_source("table:nas-bench-macro")
    networks = list(distinct_samples(macro, options.networks, Random("networks")))
    truth = {one: mean.evaluate(one, 0).value_percent for one in networks}
    batch, cache = score_batch(32), ScoreCache(options.cache) if options.cache else None
    setting = {"networks": len(networks), "batch": batch.described}
    sources = {name: ZeroCostScores(macro, (name,), batch, cache) for name in _NAMES}
    for name, source in sources.items():
        begun_s = time.process_time()
        values = source.values(networks)[:, 0]
        seconds = (time.process_time() - begun_s) / len(networks)
        tau = float(kendalltau(values, [truth[one] for one in networks]).statistic)
        _show(f"tau_{name}", [tau], "", setting, options)
        _show(f"cpu_{name}", [seconds], "s", setting, options)
    for count in (int(one) for one in options.counts.split(",")):
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        found = [_taus(networks, truth, sources, count, seed) for seed in seeds]
        for name in found[0]:
            _show(f"{name}@{count}", [one[name] for one in found], "", setting, options)
    return 0


def _taus(
    networks: list[Architecture],
    truth: dict[Architecture, float],
    sources: dict[str, ZeroCostScores],
    count: int,
    seed: int,
) -> dict[str, float]:
    macro = space("nas-bench-macro")
    order = networks[:]
    Random(f"trained {seed}").shuffle(order)
    trained, unseen = order[:count], order[count:]
    single = accuracy_source("table:nas-bench-macro:single", seed=seed)
    values = [single.evaluate(one, number).value_percent for number, one in enumerate(trained)]
    columns = np.hstack([sources[name].values(networks) for name in _NAMES]).tolist()
    scores = ZeroCostScores(
        macro, _NAMES, sources[_NAMES[0]].batch, known=dict(zip(networks, columns, strict=True))
    )
    trainings = Trainings.of(macro, trained, values)
    model, candidates = fit_accuracy_model(trainings, ["gaussian-process"], scores)
    plain = next(one for one in candidates if not one.scores)
    expected = [truth[one] for one in unseen]
    without, chosen = (
        float(kendalltau(one.predict(unseen).mean_percent, expected).statistic)
        for one in (model.with_candidate(plain), model)
    )
    return {
        "tau_without": without,
        "tau_chosen": chosen,
        "tau_gained": chosen - without,
        "scores_kept": float(len(candidates[0].scores)),
    }


def _show(
    name: str, values: Sequence[float], unit: str, setting: dict[str, object], options: argparse.Namespace
) -> None:
    show_line(mean_line(name, values, unit, setting), f"{name:18s}", as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--counts", default="20,50", help="trainings, comma-separated")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="file that keeps scores from one run to the next")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
