"""How good is a guess of a device on which nothing was measured? From the published packs of all other families.

    python benchmarks/latency_guess.py --json

One JSON line a space: over ten families of devices, the median factor by which guesses are off, the factor of the
95 % interval, the share of latencies inside it (all devices, worst device), and Spearman's rank correlation.
"""

__all__ = ["main"]

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from fleetnas_latency.exchange.shipped import shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.guessed_model import GuessedModel
from fleetnas_latency.few_shot.lenders import Lenders
from fleetnas_latency.few_shot.source_prior import device_family
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_search_spaces.registry import space


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spaces", default="fbnet,nas-bench-201")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    options = parser.parse_args(argv)
    for name in options.spaces.split(","):
        for figure, value in _figures(name).items():
            line = {"name": figure, "value": round(value, 3), "setting": {"space": name}}
            print(json.dumps(line) if options.json else f"{name:14s} {figure:16s} {value:.3f}", flush=True)
    return 0


def _figures(space_name: str) -> dict[str, float]:
    packs, structure = shipped_packs_of(space_name), ChainStructure(space(space_name))
    by_family: dict[str, list[list[float]]] = {}
    for pack in packs:
        family = device_family(pack.target.device_model)
        others = [one for one in packs if device_family(one.target.device_model) != family]
        networks = [architecture_from_key(one.key) for one in pack.observations]
        true_ms = np.array([one.latency.value for one in pack.observations])
        found = GuessedModel(structure, Lenders(structure, {}, others, networks[:100])).predict(networks)
        off = np.exp(np.abs(np.log(found.mean_ms / true_ms)))
        inside = (found.low_ms <= true_ms) & (true_ms <= found.high_ms)
        width = float(np.median(found.high_ms / found.mean_ms))
        rank = float(spearmanr(found.mean_ms, true_ms).statistic)
        by_family.setdefault(family, []).append([float(np.median(off)), width, float(inside.mean()), rank])
    means = np.array([np.mean(one, axis=0) for one in by_family.values()])
    median_off, width, coverage, rank = means.mean(axis=0)
    worst = min(one[2] for lines in by_family.values() for one in lines)
    return {
        "factor_off": float(np.median(means[:, 0])),
        "factor_off_mean": median_off,
        "factor_95": width,
        "coverage95": coverage,
        "worst_coverage": worst,
        "spearman": rank,
    }


if __name__ == "__main__":
    sys.exit(main())
