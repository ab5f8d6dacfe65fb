"""Whole searches on this CPU's real latency: how often one finds a network 20 % faster at no lower accuracy.

    python benchmarks/host_search.py --seeds 10 --strategies predictor --json
    python benchmarks/host_search.py --seeds 20 --strategies predictor,random --replay macro_host.csv --json
    python benchmarks/host_search.py --seeds 1 --twice --budget 20 --json

A seed counts when the confirmed interval of the found network lies wholly under -20 % of the reference's latency and
its published accuracy (mean of three trainings) is not lower. One search takes about three minutes; run nothing else.
With ``--replay`` the device plays a table that ``macro_table.py`` measured, which takes seconds a search. With
``--twice`` each seed is searched twice and the first ten proposals are compared.
"""

__all__ = ["main"]

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetnas_controller.storage import open_database
from fleetnas_controller.trial_store import SqliteTrials

_NAME = "one"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    for strategy in options.strategies.split(","):
        setting: dict[str, Any] = {
            "strategy": strategy,
            "device": "host" if options.replay is None else "replay",
            "budget": options.budget,
        }
        good_count = same_count = 0
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            document, proposals = _search(strategy, seed, options)
            good_count += _is_good(document, setting["device"])
            _print("found", int(_is_good(document, setting["device"])), "yes or no", setting, seed=seed,
                   found=document["found"] and document["found"]["architecture"], change=document["change"],
                   evaluations=document["evaluations"], wall_s=document["wall_s"])  # fmt: skip
            if options.twice:
                same_count += _search(strategy, seed, options)[1][:10] == proposals[:10]
        seeds = {"seeds": options.seeds, "first_seed": options.first_seed}
        _print("successes", good_count, f"of {options.seeds}", setting, **seeds)
        if options.twice:
            _print("same_first_10", same_count, f"of {options.seeds}", setting, **seeds)
    return 0


def _search(strategy: str, seed: int, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The document of one search and its proposals in order."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "fleetnas_controller.cli", "search", "--json", "--strategy", strategy,
            "--seed", str(seed), "--budget", str(options.budget), "--latency-drop", "20%",
            "--runs-dir", folder, "--name", _NAME,
            *(["--replay", options.replay] if options.replay else []),
        ]  # fmt: skip
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if answer.returncode not in (0, 3):
            raise SystemExit(f"search {strategy} seed {seed} ended with exit code {answer.returncode}")
        trials = SqliteTrials(open_database(Path(folder) / _NAME / "store.db")).trials(_NAME)
        return json.loads(answer.stdout), [one.architecture for one in trials]


def _is_good(document: dict[str, Any], device: str) -> bool:
    change = document["change"] if document["found"] else None
    return change is not None and change["latency"][device]["high"] < -0.2 and change["accuracy"] >= 0.0


def _print(name: str, value: int, unit: str, setting: dict[str, Any], **more: object) -> None:
    line = {"name": name, "value": value, "unit": unit, "peer": "", "peer_value": None,
            "setting": {**setting, **more}}  # fmt: skip
    print(json.dumps(line), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--strategies", default="predictor", help="comma-separated")
    parser.add_argument(
        "--replay", help="table with the columns arch,latency_ms to play instead of measuring"
    )
    parser.add_argument("--twice", action="store_true", help="compare the first ten proposals of equal seeds")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure, as always here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
