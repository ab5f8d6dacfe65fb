"""Kills searches at random moments, and compares what they end in with unbroken ones.

    python benchmarks/kill_search.py --kills 50 --json

Each seed is searched twice through the real server, agent and protocol, on a made-up latency table that the replay
driver plays: once undisturbed, and once with a SIGKILL after another, of the search itself (controller and search
are one process here, the agent dies with it) or of the agent alone. A dead search is resumed. Both must store the
same trials in the same order with the same readings, and find the same network.
"""

__all__ = ["main"]

import argparse
import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

_NAME = "broken"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    rng = random.Random(options.first_seed)
    left, seed, equal, kills = options.kills, options.first_seed, 0, {"search": 0, "agent": 0}
    with tempfile.TemporaryDirectory() as folder:
        table = _made_up_table(Path(folder) / "made_up.csv")
        while left > 0:
            whole = _Search(table, Path(folder) / f"whole-{seed}", options.budget, seed)
            whole.finish()
            broken = _Search(table, Path(folder) / f"broken-{seed}", options.budget, seed)
            left -= _torment(broken, min(left, options.kills_a_search), rng, kills)
            broken.finish()
            same = broken.end() == whole.end()
            equal += same
            seed += 1
            if not same:
                print(f"seed {seed - 1}: the broken search ended in another result", file=sys.stderr)
    setting = {"kills": kills, "searches": seed - options.first_seed, "budget": options.budget}
    line = {"name": "resumed_to_the_unbroken_result", "value": equal, "unit": f"of {setting['searches']} searches",
            "peer": "", "peer_value": None, "setting": setting}  # fmt: skip
    print(json.dumps(line) if options.json else f"{line['name']}: {equal} {line['unit']}, {kills}")
    return 0 if equal == setting["searches"] else 1


def _torment(search: "_Search", count: int, rng: random.Random, kills: dict[str, int]) -> int:
    """Kills up to ``count`` times; fewer when the search is done before."""
    for done in range(count):
        search.start()
        victim = rng.choice(("search", "agent"))
        # An agent has to live before it can be killed, and may be killed again in the same search.
        time.sleep(rng.uniform(0.3, 2.5))
        if not search.kill(victim):
            return done
        kills[victim] += 1
    return count


class _Search:
    """One search that may have to be started several times."""

    def __init__(self, table: Path, runs_dir: Path, budget: int, seed: int) -> None:
        self._runs_dir = runs_dir
        self._command = [
            sys.executable, "-m", "fleetnas_controller.cli", "search", "--json", "--replay", str(table),
            "--runs-dir", str(runs_dir), "--name", _NAME, "--latency-drop", "20%", "--budget", str(budget),
            "--seed", str(seed),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            known = (self._runs_dir / _NAME / "store.db").exists()
            self._process = subprocess.Popen(
                [*self._command, "--resume"] if known else self._command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def kill(self, victim: str) -> bool:
        """Whether the search was still under way."""
        process = self._process
        assert process is not None
        if process.poll() is not None:
            return False
        pid = process.pid if victim == "search" else _child(process.pid)
        if pid is None:  # no agent yet: then the search
            pid = process.pid
        os.kill(pid, signal.SIGKILL)
        if pid == process.pid:
            process.communicate()
        return True

    def finish(self) -> None:
        self.start()
        assert self._process is not None
        output, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise SystemExit(f"a search ended with exit code {self._process.returncode}")
        self._document: dict[str, Any] = json.loads(output)

    def end(self) -> tuple[Any, ...]:
        """What must not depend on interruptions."""
        from fleetnas_controller.storage import open_database
        from fleetnas_controller.trials import SqliteTrials

        trials = SqliteTrials(open_database(self._runs_dir / _NAME / "store.db")).trials(_NAME)
        steps = [(one.architecture, one.accuracy, one.readings["replay"].ratio) for one in trials]
        return steps, self._document["found"], self._document["caps"]


def _child(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(one) for file in children for one in file.read_text().split()]
    return found[0] if found else None


def _made_up_table(path: Path) -> Path:
    """A latency of every network that is proportional to its MACs."""
    content = files("fleetnas_training.published").joinpath("nas_bench_macro_cifar10.csv.gz").read_bytes()
    rows = csv.DictReader(gzip.decompress(content).decode().splitlines())
    lines = [f"{row['arch']},{0.1 + int(row['flops']) / 40e6:.5f}" for row in rows]
    path.write_text("\n".join(["arch,latency_ms", *lines]) + "\n", encoding="utf-8")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kills-a-search", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
