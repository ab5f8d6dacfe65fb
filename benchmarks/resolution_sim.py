"""False positives at the resolution that a self-test states, where the spread between sessions is known.

    python benchmarks/resolution_sim.py --json

Each self-test sees its sessions and states the smallest difference it can resolve; two further sessions of the same
networks are then compared, network by network. A difference beyond the resolution is a false positive.
"""

__all__ = ["main"]

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from figures import mean_line, show_line
from numpy.typing import NDArray

from fleetnas_latency.self_test import smallest_difference

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]

_SPREAD = 0.01


def _half_common(rng: np.random.Generator, sessions: int, networks: int) -> Floats:
    common = rng.standard_normal((sessions, 1))
    return np.asarray((common + rng.standard_normal((sessions, networks))) / math.sqrt(2.0))


SPREADS: Mapping[str, Draw] = {
    "independent normal": lambda rng, sessions, networks: rng.standard_normal((sessions, networks)),
    "Student, 4 degrees": lambda rng, sessions, networks: rng.standard_t(4, (sessions, networks)),
    "half common to a session": _half_common,
}


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    for name, draw in SPREADS.items():
        for sessions in (int(one) for one in options.sessions.split(",")):
            rng = np.random.default_rng(options.seed)
            wrong, widths = zip(
                *(_one(draw, rng, sessions, options.networks) for _ in range(options.tests)), strict=True
            )
            setting = {"spread": name, "sessions": sessions, "networks": options.networks}
            for figure, values in (("false_positives", wrong), ("resolution", widths)):
                line = mean_line(figure, [100.0 * one for one in values], "%", setting, digits=2)
                show_line(line, f"{name:26s} {sessions} sessions, {figure:16s}", as_json=options.json)
    return 0


def _one(draw: Draw, rng: np.random.Generator, sessions: int, networks: int) -> tuple[float, float]:
    """Share of the networks that two new sessions call different, and the resolution."""
    logs = _SPREAD * draw(rng, sessions + 2, networks)
    resolution = smallest_difference(logs[:sessions])
    return float((abs(logs[-1] - logs[-2]) > resolution).mean()), resolution


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", default="2,3,5", help="of a self-test, comma-separated")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--tests", type=int, default=5_000, help="self-tests of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
