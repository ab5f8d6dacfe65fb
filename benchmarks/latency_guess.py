"""How good is a guess of a device on which nothing was measured? From the published packs of all other families.

    python benchmarks/latency_guess.py --json

One JSON line a figure: over ten families of devices, the median factor by which guesses are off, the factors of the
90 and 95 % intervals, the shares of latencies inside them (mean, worst family), Spearman's rank correlation.
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

_LEVELS = (0.9, 0.95)


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
        model = GuessedModel(structure, Lenders(structure, {}, others, networks[:100]))
        mean_ms = model.predict(networks).mean_ms
        off = np.exp(np.abs(np.log(mean_ms / true_ms)))
        factors = [model.factor(level) for level in _LEVELS]
        inside = [float((off <= factor).mean()) for factor in factors]
        rank = float(spearmanr(mean_ms, true_ms).statistic)
        by_family.setdefault(family, []).append([float(np.median(off)), rank, *factors, *inside])
    families = np.array([np.mean(one, axis=0) for one in by_family.values()])
    figures = {
        "factor_off": float(np.median(families[:, 0])),
        "factor_off_mean": float(families[:, 0].mean()),
        "spearman": float(families[:, 1].mean()),
    }
    for index, level in enumerate(_LEVELS):
        factor, share = families[:, 2 + index], families[:, 2 + len(_LEVELS) + index]
        name = round(100 * level)
        figures |= {
            f"factor_{name}": float(factor.mean()),
            f"coverage{name}": float(share.mean()),
            f"worst_coverage{name}": float(share.min()),
        }
    return figures


if __name__ == "__main__":
    sys.exit(main())
