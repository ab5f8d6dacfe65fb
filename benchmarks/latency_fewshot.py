"""Latency of unseen networks from a few measured ones, on devices that were left out with their whole family.

    python benchmarks/latency_fewshot.py --csv FILE --space nas-bench-201 --arch-column index --seeds 20 --json
    python benchmarks/latency_fewshot.py --csv FILE --space nas-bench-macro --arch-column arch --sources none --json

FILE has one row a network and one column of milliseconds a device. Each device is predicted from ``--samples`` of
its own values and from the columns of ``--sources`` outside its family (``titanx_1`` and ``titanx_256`` are one).
One JSON line for each device, sample count and method, means over seeds: Spearman, Kendall, mean and median error
in percent, the shares within 5 and 10 %, and the coverage of the 90 % interval (null for baselines); ``ceiling_*``
is the learned model with 900 random samples (or half of the networks), what noise and drift leave for it to reach.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fewshot_baselines import BASELINES, Inputs, predict_baseline
from fewshot_table import LatencyColumns, read_latency_csv, structure_of
from numpy.typing import NDArray
from scipy import stats

from fleetnas_latency.few_shot.calibration import interval_factor, student_scores
from fleetnas_latency.few_shot.choosing import NetworkChooser
from fleetnas_latency.few_shot.clock import clock_tick_ms
from fleetnas_latency.few_shot.robust_fit import Measured, fit_robust
from fleetnas_latency.few_shot.robust_posterior import Believed, RobustPosterior
from fleetnas_latency.few_shot.source_prior import (
    SourceDevice,
    believed_from_features,
    believed_from_sources,
    device_family,
    learn_source,
)
from fleetnas_latency.few_shot.structure import Structure
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError
from fleetnas_search_spaces.registry import space

_TEST_COUNT = 4000
_CEILING_COUNT = 900
_SOURCE_COUNT = 2000
_CANDIDATE_COUNT = 1000
_ASKED_COUNT = 400
_CEILING_SEEDS = 3
_MEASURES = ("spearman", "kendall", "mape", "median_error", "within5", "within10", "coverage90")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Device:
    """One column, ready to be measured.

    Attributes:
        usable: Indices of the networks with a latency of at least ``--min-ms``.
    """

    name: str
    latency_ms: Floats
    usable: Ints
    believed: Believed
    inputs: Inputs


class Bench:
    """Everything that devices and seeds share."""

    def __init__(self, structure: Structure, table: LatencyColumns, min_ms: float) -> None:
        self._structure = structure
        self._table = table
        self._min_ms = min_ms
        self._order = np.random.default_rng(0).permutation(len(table.architectures))
        self._sample = table.rows[:, self._order[:_SOURCE_COUNT]]
        self._one_hot = _one_hot(table.choices)
        self._sources: dict[str, SourceDevice] = {}

    def device(self, name: str, source_names: Sequence[str]) -> Device:
        latency_ms = self._table.latency_ms[name]
        sources = [self._source(one) for one in source_names if device_family(one) != device_family(name)]
        believed = (
            believed_from_sources(self._structure, sources)
            if sources
            else believed_from_features(self._structure, self._sample)
        )
        raw = self._table.rows[0]
        inputs = Inputs(raw[:, 1:], self._one_hot, np.maximum(raw @ believed.mean[0], 1e-3))
        return Device(name, latency_ms, self._usable(name), believed, inputs)

    def lines(self, device: Device, samples: Sequence[int], seeds: range) -> Iterator[dict[str, Any]]:
        ceiling = self._ceiling(device)
        for count in samples:
            if count + 2 > len(device.usable):
                raise InvalidArgumentError(
                    f"device '{device.name}' has {len(device.usable)} latencies, too few for {count} samples."
                )
            found: dict[str, list[list[float]]] = {}
            for seed in seeds:
                for method, scores in self._scores(device, count, seed):
                    found.setdefault(method, []).append(scores)
            for method, scores_by_seed in found.items():
                yield {
                    "device": device.name,
                    "samples": count,
                    "method": method,
                    **_named(scores_by_seed),
                    **ceiling,
                    "seeds": len(seeds),
                }

    def _scores(self, device: Device, count: int, seed: int) -> Iterator[tuple[str, list[float]]]:
        rng = np.random.default_rng([seed, count])
        order = rng.permutation(device.usable)
        chosen = self._chosen(device, order[:_CANDIDATE_COUNT], order[-_ASKED_COUNT:], count)
        yield "learned-chosen", self._learned(device, chosen, _unseen(order, chosen))
        train = order[:count]
        test = _unseen(order, train)
        yield "learned-random", self._learned(device, train, test)
        for name in BASELINES:
            true_ms = device.latency_ms[test]
            predicted = predict_baseline(name, device.inputs, train, device.latency_ms[train], test, seed)
            yield name, [*_scored(predicted, true_ms), float("nan")]

    def _chosen(self, device: Device, candidates: Ints, asked: Ints, count: int) -> Ints:
        rows = self._table.rows
        base_count = self._structure.hypotheses[0].base_count
        chooser = NetworkChooser(device.believed, rows[:, candidates], rows[:, asked], base_count)
        taken: list[int] = []
        while len(taken) < min(count, len(candidates)):
            known = taken and chooser.needs_posterior(taken)
            posterior = self._fitted(device, candidates[taken])[0] if known else None
            taken.append(chooser.next(taken, posterior))
        return candidates[taken]

    def _learned(self, device: Device, train: Ints, test: Ints) -> list[float]:
        posterior, tick_ms = self._fitted(device, train)
        mean_ms, std_ms = posterior.networks(self._table.rows[:, test], tick_ms)
        true_ms = device.latency_ms[test]
        half_ms = std_ms * interval_factor(posterior.left_out_scores, student_scores())
        covered = float((np.abs(mean_ms - true_ms) <= half_ms).mean())
        return [*_scored(mean_ms, true_ms), covered]

    def _fitted(self, device: Device, train: Ints) -> tuple[RobustPosterior, float]:
        latency_ms = device.latency_ms[train]
        tick_ms = clock_tick_ms(latency_ms)
        variance = np.full(len(train), tick_ms**2 / 12.0)
        measured = Measured(self._table.rows[:, train], latency_ms, variance)
        return fit_robust(device.believed, measured), tick_ms

    def _ceiling(self, device: Device) -> dict[str, float]:
        count = min(_CEILING_COUNT, len(device.usable) // 2)
        scores = []
        for seed in range(_CEILING_SEEDS):
            order = np.random.default_rng([seed, 10**6]).permutation(device.usable)
            scores.append(self._learned(device, order[:count], _unseen(order, order[:count])))
        named = _named(scores)
        return {f"ceiling_{name}": named[name] for name in ("spearman", "kendall", "mape", "within10")}

    def _source(self, name: str) -> SourceDevice:
        if name not in self._sources:
            usable = self._usable(name)[:_SOURCE_COUNT]
            rows, latency_ms = self._table.rows[:, usable], self._table.latency_ms[name][usable]
            self._sources[name] = learn_source(self._structure, rows, latency_ms, self._sample, name=name)
        return self._sources[name]

    def _usable(self, name: str) -> Ints:
        """In an order of its own, which is not the file's."""
        latency_ms = self._table.latency_ms[name][self._order]
        return self._order[np.isfinite(latency_ms) & (latency_ms >= self._min_ms)]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        structure = structure_of(space(options.space))
        table = read_latency_csv(options.csv, structure, options.arch_column)
        devices = _names(options.devices, table) or tuple(table.latency_ms)
        sources = (
            () if options.sources == "none" else _names(options.sources, table) or tuple(table.latency_ms)
        )
        bench = Bench(structure, table, options.min_ms)
        samples = [int(one) for one in options.samples.split(",")]
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        for name in devices:
            for line in bench.lines(bench.device(name, sources), samples, seeds):
                print(json.dumps(line) if options.json else _text(line), flush=True)
    except FleetNASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _unseen(order: Ints, train: Ints) -> Ints:
    return order[~np.isin(order, train)][:_TEST_COUNT]


def _scored(predicted_ms: Floats, true_ms: Floats) -> list[float]:
    error = np.abs(predicted_ms / true_ms - 1.0)
    constant = np.ptp(predicted_ms) == 0.0
    return [
        0.0 if constant else float(stats.spearmanr(predicted_ms, true_ms).statistic),
        0.0 if constant else float(stats.kendalltau(predicted_ms, true_ms).statistic),
        100.0 * float(error.mean()),
        100.0 * float(np.median(error)),
        float((error <= 0.05).mean()),
        float((error <= 0.10).mean()),
    ]


def _named(scores: Sequence[Sequence[float]]) -> dict[str, Any]:
    means = np.array(scores).mean(axis=0)
    return {
        name: None if np.isnan(value) else round(float(value), 4)
        for name, value in zip(_MEASURES, means, strict=True)
    }


def _one_hot(choices: Ints) -> Floats:
    columns = [choices[:, [slot]] == np.unique(choices[:, slot]) for slot in range(choices.shape[1])]
    return np.hstack(columns).astype(float)


def _names(text: str, table: LatencyColumns) -> tuple[str, ...]:
    names = tuple(one.strip() for one in text.split(",") if one.strip())
    for name in names:
        if name not in table.latency_ms:
            raise InvalidArgumentError(f"no device column '{name}'; known: {', '.join(table.latency_ms)}")
    return names


def _text(line: dict[str, Any]) -> str:
    figures = " ".join(f"{name} {line[name]}" for name in _MEASURES)
    return f"{line['device']:16s} {line['samples']:4d} {line['method']:18s} {figures}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", type=Path, required=True, help="a row a network; may be gzipped")
    parser.add_argument("--space", default="nas-bench-201", help="nas-bench-201, fbnet, nas-bench-macro, ...")
    parser.add_argument("--arch-column", default="arch", help="column with the space's codes")
    parser.add_argument("--devices", default="", help="columns to predict, comma-separated (default: all)")
    parser.add_argument("--sources", default="", help="columns to learn from, or none (default: all)")
    parser.add_argument("--samples", default="10,20,50")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--min-ms", type=float, default=0.1, help="smaller latencies are dropped")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
