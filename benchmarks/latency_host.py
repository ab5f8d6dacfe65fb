"""Latencies of unseen networks on this CPU, from a few measured ones and what was believed before.

    python benchmarks/latency_host.py --pool macro-onnxruntime.csv --space nas-bench-macro --json

The pool is what ``latency_pool.py`` measured. 200 of its networks are kept unseen, the others may be measured: by
the model's choice, or by chance. Before measuring, the model believes nothing of the blocks (all alike, give or take
the whole), their sizes, or what each was measured to take alone; the last costs a measurement for each block.
Without any network only blocks measured alone give milliseconds: their sum. The ceiling is the model after all the
networks that may be measured. The noise that nobody can predict: how far two halves of a network's turns differ, and
how far a network measured again in another batch lies from its mean.

A network is faster in one process than in the next, probably by where its weights come to lie. With several pools of
the same networks, each made by a process of its own, a model is made from one of them (by turns of the seed) and held
against the mean of the others: how far it is from what a user sees on average, not from one process's luck.
``single_gap`` is how far one measurement is from that mean.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from blocks_prior import believed_from_blocks
from host_pool import HostPool, read_host_pool
from numpy.typing import NDArray

from fleetnas_latency.block_prior import Prior
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.few_shot.source_prior import believed_from_features, believed_from_prior
from fleetnas_search_spaces.errors import InvalidArgumentError

_UNSEEN = 200
_PRIORS = ("none", "features", "blocks")
_WAYS = ("chosen", "random")

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Bench:
    """Everything that seeds share."""

    def __init__(self, pool: HostPool, true_ms: Floats) -> None:
        self._pool = pool
        self._true_ms = true_ms
        self._structure = ChainStructure(pool.space)
        rows = self._structure.rows(pool.networks)
        found = [pool.blocks_ms.get(key, np.nan) for key in self._structure.entry_names]
        self._block_ms = np.maximum(np.array(found) - pool.call_ms, 0.1 * pool.call_ms)
        self._rows = rows
        self.block_count = rows.shape[2] - 1
        self._believed: dict[str, Believed] = {
            "none": _nothing(self._structure, rows),
            "features": believed_from_features(self._structure, rows),
            "blocks": believed_from_blocks(self._structure, rows, self._block_ms),
        }

    def errors(self, seed: int, counts: Sequence[int]) -> Iterator[tuple[str, str, int, Floats]]:
        """Prior, way of choosing, number of measured networks, relative errors of the unseen ones."""
        order = np.random.default_rng(seed).permutation(len(self._pool.networks))
        unseen, candidates = order[:_UNSEEN], order[_UNSEEN:]
        if 0 in counts and np.isfinite(self._block_ms[1:]).all():
            known = np.nan_to_num(self._block_ms)
            yield (
                "blocks",
                "none measured",
                0,
                self._errors(self._rows[0] @ known + self._pool.call_ms, unseen),
            )
        for prior in _PRIORS:
            for way in _WAYS:
                taken: list[int] = []
                for count in (one for one in counts if 0 < one <= len(candidates)):
                    taken = self._measured(prior, way, candidates, taken, count)
                    yield prior, way, count, self._predicted(prior, candidates[taken], unseen)
        yield "features", "ceiling", len(candidates), self._predicted("features", candidates, unseen)

    def _measured(
        self, prior: str, way: str, candidates: Indices, taken: Sequence[int], count: int
    ) -> list[int]:
        """Which candidates are measured, those of ``taken`` and as many more as are missing."""
        if way == "random":
            return list(range(count))
        known = list(taken)
        networks = [self._pool.networks[index] for index in candidates]
        while len(known) < count:
            known.append(self._model(prior, candidates[known]).choose(networks, networks, known))
        return known

    def _predicted(self, prior: str, measured: Indices, unseen: Indices) -> Floats:
        networks = [self._pool.networks[index] for index in unseen]
        predicted_ms = self._model(prior, measured).predict(networks).mean_ms
        return np.asarray(np.abs(predicted_ms / self._true_ms[unseen] - 1.0))

    def _errors(self, predicted_ms: Floats, unseen: Indices) -> Floats:
        return np.asarray(np.abs(predicted_ms[unseen] / self._true_ms[unseen] - 1.0))

    def _model(self, prior: str, measured: Indices) -> FewShotModel:
        model = FewShotModel(self._structure, lambda: self._believed[prior])
        latency_ms = self._pool.latency_ms[measured]
        if len(measured):
            networks = [self._pool.networks[index] for index in measured]
            model.observe(networks, latency_ms, np.zeros(len(measured)))
        return model


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    pools = [read_host_pool(path, options.space) for path in options.pool]
    truths = [_mean_of_others(pools, index) for index in range(len(pools))]
    benches = [Bench(*one) for one in zip(pools, truths, strict=True)]
    counts = [int(one) for one in options.counts.split(",")]
    found: dict[tuple[str, str, int], list[Floats]] = {}
    for seed in range(options.seeds):
        for prior, way, count, errors in benches[seed % len(benches)].errors(seed, counts):
            found.setdefault((prior, way, count), []).append(errors)
    setting = {"pool": options.pool[0].stem, "space": options.space, "networks": len(pools[0].networks),
               "blocks": benches[0].block_count, "seeds": options.seeds, "processes": len(pools)}  # fmt: skip
    _print("halves_gap", 100.0 * median(one.halves_gap for one in pools), "%", setting, options)
    _print("repeat_gap", 100.0 * median(one.repeat_gap for one in pools), "%", setting, options)
    if len(pools) > 1:
        gaps = [np.median(abs(one.latency_ms / true - 1.0)) for one, true in zip(pools, truths, strict=True)]
        _print("single_gap", 100.0 * float(np.mean(gaps)), "%", setting, options)
    for (prior, way, count), errors in found.items():
        where = {**setting, "prior": prior, "choice": way, "measured": count}
        _print("median_error", 100.0 * float(np.median(errors, axis=1).mean()), "%", where, options)
        _print("within_10", 100.0 * float((np.array(errors) <= 0.1).mean()), "%", where, options)
    return 0


def _mean_of_others(pools: Sequence[HostPool], index: int) -> Floats:
    """Latencies of one pool's networks by the geometric mean of the other processes, at that pool's speed.

    Its own where there is no other.
    """
    own_ms = pools[index].latency_ms
    others = [one for position, one in enumerate(pools) if position != index]
    if not others:
        return own_ms
    if any(one.networks != pools[index].networks for one in others):
        raise InvalidArgumentError("the pools have different networks: make them with the same options.")
    logs = np.mean([np.log(one.latency_ms) for one in others], axis=0)
    return np.asarray(np.exp(logs + np.median(np.log(own_ms) - logs)))


def _nothing(structure: ChainStructure, rows: Floats) -> Believed:
    """Every block alike, give or take the whole."""
    prior = Prior.from_features(structure.features()[:, -1:], rows[0])
    return believed_from_prior(
        structure, Prior(prior.mean, np.zeros_like(prior.shared), np.maximum(prior.mean, prior.own))
    )


def _print(name: str, value: float, unit: str, setting: dict[str, Any], options: argparse.Namespace) -> None:
    line = {"name": name, "value": round(value, 3), "unit": unit, "peer": "", "peer_value": None,
            "setting": setting}  # fmt: skip
    words = " ".join(str(setting[key]) for key in ("prior", "choice", "measured") if key in setting)
    print(json.dumps(line) if options.json else f"{name:16s} {value:8.3f} {unit} {words}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, nargs="+", required=True, help="what latency_pool.py measured")
    parser.add_argument("--space", default="nas-bench-macro")
    parser.add_argument("--counts", default="0,10,15,20,30,50,100", help="networks measured")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
