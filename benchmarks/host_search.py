"""Whole searches on this CPU's real latency: how often one finds a network 20 % faster at no lower accuracy.

    python benchmarks/host_search.py --seeds 10 --strategies predictor --json
    python benchmarks/host_search.py --seeds 20 --strategies predictor,random --replay macro_host.csv --json

A seed counts when the confirmed interval of the found network lies wholly under -20 % of the reference's latency and
its published accuracy (mean of three trainings) is not lower. One search takes about three minutes; run nothing else.
With ``--replay`` the device plays a table that ``macro_table.py`` measured, which takes seconds a search.
"""

import argparse
import json
import subprocess
import sys
import tempfile


def search(
    strategy: str, seed: int, budget: int, runs_dir: str, replay: str | None
) -> dict[str, object] | None:
    """The document of one search; None when it found nothing."""
    command = [
        sys.executable, "-m", "fleetnas_controller.cli", "search", "--json", "--strategy", strategy,
        "--seed", str(seed), "--budget", str(budget), "--latency-drop", "20%", "--runs-dir", runs_dir,
    ]  # fmt: skip
    if replay is not None:
        command += ["--replay", replay]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if answer.returncode not in (0, 3):
        raise SystemExit(f"search {strategy} seed {seed} ended with exit code {answer.returncode}")
    document: dict[str, object] = json.loads(answer.stdout)
    return document if document["found"] else None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--strategies", default="predictor")
    parser.add_argument(
        "--replay", help="table with the columns arch,latency_ms to play instead of measuring"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    device = "host" if args.replay is None else "replay"
    for strategy in args.strategies.split(","):
        successes = 0
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            with tempfile.TemporaryDirectory() as runs_dir:
                document = search(strategy, seed, args.budget, runs_dir, args.replay)
            change = document["change"] if document else None
            good = (
                change is not None and change["latency"][device]["high"] < -0.2 and change["accuracy"] >= 0.0
            )  # type: ignore[index]
            successes += good
            found = document["found"]["architecture"] if document else "nothing"  # type: ignore[index]
            figure = {
                "name": "found", "value": int(good), "unit": "yes or no", "peer": "", "peer_value": None,
                "setting": {"strategy": strategy, "device": device, "seed": seed, "budget": args.budget, "found": found,
                            "change": change,
                            "wall_s": document["wall_s"] if document else None},
            }  # fmt: skip
            print(json.dumps(figure), flush=True)
        total = {
            "strategy": strategy,
            "device": device,
            "seeds": args.seeds,
            "first_seed": args.first_seed,
            "budget": args.budget,
        }
        summary = {
            "name": "successes",
            "value": successes,
            "unit": f"of {args.seeds}",
            "peer": "",
            "peer_value": None,
            "setting": total,
        }
        print(json.dumps(summary), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
