"""Does a new device need fewer measurements when it starts from the published packs of the package?

    python benchmarks/latency_transfer.py --space fbnet --json
    python benchmarks/latency_transfer.py --space fbnet --pool fbnet-onnxruntime.csv --json

Each published device in turn is the new one: some of its pack's networks are measured, by the model's choice, the
others are predicted. The model starts from the packs of all other families (``titanx_1`` and ``titanx_32`` are one),
or from the sizes of the blocks alone. With ``--pool`` this CPU is the new device (``latency_pool.py``).
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
from statistics import mean

import numpy as np
from host_pool import read_host_pool
from numpy.typing import NDArray
from scipy.stats import spearmanr

from fleetnas_latency.exchange.shipped import shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.packed_sources import packed_source
from fleetnas_latency.few_shot.source_prior import (
    believed_from_features,
    believed_from_sources,
    device_family,
)
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.registry import space

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Device:
    """A new device and all that was measured on it."""

    name: str
    networks: tuple[Architecture, ...]
    latency_ms: Floats


class Bench:
    """One space, its packs as sources."""

    def __init__(self, space_name: str, devices: Sequence[Device]) -> None:
        self._structure = ChainStructure(space(space_name))
        self._structure.rows([network for one in devices for network in one.networks])
        rows = self._structure.rows(devices[0].networks)
        found = [packed_source(self._structure, one, rows) for one in shipped_packs_of(space_name)]
        self._sources = [one for one in found if one is not None]
        self._rows = rows

    def errors(self, device: Device, start: str, counts: Sequence[int], seed: int) -> Iterator[list[float]]:
        """For each count: median relative error of the others and Spearman's rank correlation."""
        family = device_family(device.name)
        kin_free = [one for one in self._sources if one.family != family]
        believed = (
            believed_from_sources(self._structure, kin_free)
            if start == "packs"
            else believed_from_features(self._structure, self._rows)
        )
        order = np.random.default_rng(seed).permutation(len(device.networks))
        networks = [device.networks[index] for index in order]
        latency_ms = device.latency_ms[order]
        half = len(networks) // 2
        model, taken = FewShotModel(self._structure, lambda: believed), list[int]()
        for count in counts:
            while len(taken) < count:
                following = model.choose(networks[:half], networks[:half], taken)
                taken.append(following)
                model.observe([networks[following]], latency_ms[[following]], [0.0])
            predicted_ms = model.predict(networks[half:]).mean_ms
            error = np.abs(predicted_ms / latency_ms[half:] - 1.0)
            yield [float(np.median(error)), float(spearmanr(predicted_ms, latency_ms[half:]).statistic)]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    counts = [int(one) for one in options.counts.split(",")]
    devices = _published(options.space) if options.pool is None else [_host(options)]
    bench = Bench(options.space, devices)
    found = {
        (start, device.name): np.mean(
            [list(bench.errors(device, start, counts, seed)) for seed in range(options.seeds)], axis=0
        )
        for device in devices
        for start in ("features", "packs")
    }
    families = sorted({device_family(one.name) for one in devices})
    for index, count in enumerate(counts):
        for figure, name, scale, unit in ((0, "median_error", 100.0, "%"), (1, "spearman", 1.0, "1")):
            for family in (*families, "all") if len(families) > 1 else families:
                features, packs = (
                    _mean_of(found, start, families if family == "all" else [family], index, figure)
                    for start in ("features", "packs")
                )
                line = {"name": name, "value": round(scale * packs, 3), "unit": unit, "peer": "features",
                        "peer_value": round(scale * features, 3),
                        "setting": {"space": options.space, "device": family, "measured": count,
                                    "seeds": options.seeds}}  # fmt: skip
                text = f"{family:14s} {count:3d} {name:13s} packs {scale * packs:.3f} features {scale * features:.3f}"
                print(json.dumps(line) if options.json else text, flush=True)
    return 0


def _mean_of(
    found: dict[tuple[str, str], Floats], start: str, families: Sequence[str], count: int, figure: int
) -> float:
    """Over families, each with the mean of its devices."""
    by_family = [
        mean(float(one[count, figure]) for (how, name), one in found.items()
             if how == start and device_family(name) == family)
        for family in families
    ]  # fmt: skip
    return mean(by_family)


def _published(space_name: str) -> list[Device]:
    return [
        Device(
            one.target.device_model,
            tuple(architecture_from_key(seen.key) for seen in one.observations),
            np.array([seen.latency.value for seen in one.observations]),
        )
        for one in shipped_packs_of(space_name)
    ]


def _host(options: argparse.Namespace) -> Device:
    pool = read_host_pool(options.pool, options.space)
    return Device("host", pool.networks, pool.latency_ms)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", choices=("fbnet", "nas-bench-201"), default="fbnet")
    parser.add_argument("--pool", type=Path, help="this CPU as the new device")
    parser.add_argument("--counts", default="5,10,20,50", help="networks measured")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
