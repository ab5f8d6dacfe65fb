"""Kills searches at random moments, and compares what they end in with unbroken ones.

    python benchmarks/kill_search.py --kills 50 --json
    python benchmarks/kill_search.py --kills 50 --fleet --json

Each seed is searched twice through the real server, agent and protocol, on a made-up latency table that the replay
driver plays: once undisturbed, and once with one SIGKILL after another. Without ``--fleet`` controller and search
are one process, whose agent dies with it, and either that or the agent alone is killed; with it, ``fleetnas serve``,
``fleetnas-agent`` and ``fleetnas search`` are three processes and each may be the victim. What died is started
again, a search with ``--resume``. Both must store the same trials in the same order with the same readings, and
find the same network.
"""

__all__ = ["main"]

import argparse
import csv
import gzip
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

_NAME = "broken"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    rng = random.Random(options.first_seed)
    seed, equal, kills = options.first_seed, 0, Counter[str]()
    make = _FleetSearch if options.fleet else _Search
    with tempfile.TemporaryDirectory() as folder:
        table = _made_up_table(Path(folder) / "made_up.csv")
        while kills.total() < options.kills:
            ends = []
            for torment in (False, True):
                run = make(table, Path(folder) / f"{seed}-{torment}", options.budget, seed)
                if torment:
                    _torment(run, min(options.kills - kills.total(), options.kills_a_search), rng, kills)
                ends.append(run.finish())
                run.close()
            equal += ends[0] == ends[1]
            if ends[0] != ends[1]:
                print(f"seed {seed}: the broken search ended in another result", file=sys.stderr)
            seed += 1
    searches = seed - options.first_seed
    setting = {"kills": dict(kills), "searches": searches, "budget": options.budget, "fleet": options.fleet}
    line = {"name": "resumed_to_the_unbroken_result", "value": equal, "unit": f"of {searches} searches",
            "peer": "", "peer_value": None, "setting": setting}  # fmt: skip
    print(json.dumps(line) if options.json else f"{line['name']}: {equal} {line['unit']}, {dict(kills)}")
    return 0 if equal == searches else 1


def _torment(search: "_Search", count: int, rng: random.Random, kills: Counter[str]) -> None:
    """Kills up to ``count`` times; fewer when the search is done before."""
    for _ in range(count):
        search.start()
        victim = rng.choice(search.victims)
        time.sleep(rng.uniform(0.3, 2.5))
        if not search.kill(victim):
            return
        kills[victim] += 1


class _Search:
    """A search with an embedded fleet, which may have to be started several times."""

    victims: tuple[str, ...] = ("search", "agent")

    def __init__(self, table: Path, folder: Path, budget: int, seed: int) -> None:
        self._table = table
        self._folder = folder
        self._settings = ["--latency-drop", "20%", "--budget", str(budget), "--seed", str(seed)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts what is not running."""
        if self._process is None or self._process.poll() is not None:
            known = (self._folder / _NAME / "store.db").exists()
            command = _fleetnas(
                "search", "--json", "--runs-dir", str(self._folder), "--name", _NAME, *self._settings,
                *self._device(), *(["--resume"] if known else []),
            )  # fmt: skip
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def kill(self, victim: str) -> bool:
        """Whether the search was still under way."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        # The agent is a child of the search; before it lives, the search itself is the victim.
        pid = process.pid if victim == "search" else _child(process.pid) or process.pid
        os.kill(pid, signal.SIGKILL)
        if pid == process.pid:
            process.communicate()
        return True

    def finish(self) -> tuple[Any, ...]:
        """Lets the search end; what must not depend on interruptions."""
        from fleetnas_controller.storage import open_database
        from fleetnas_controller.trial_store import SqliteTrials

        self.start()
        assert self._process is not None
        output, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise SystemExit(f"a search ended with exit code {self._process.returncode}")
        result: dict[str, Any] = json.loads(output)
        trials = SqliteTrials(open_database(self._folder / _NAME / "store.db")).trials(_NAME)
        steps = [(one.architecture, one.accuracy, one.readings["replay"].ratio) for one in trials]
        return steps, result["found"], result["caps"]

    def close(self) -> None:
        """Ends what is left running."""

    def _device(self) -> list[str]:
        return ["--replay", str(self._table)]


class _FleetSearch(_Search):
    """A search through a controller and an agent that are processes of their own."""

    victims = ("search", "agent", "controller")

    def __init__(self, table: Path, folder: Path, budget: int, seed: int) -> None:
        super().__init__(table, folder, budget, seed)
        self._address = f"127.0.0.1:{_free_port()}"
        self._data_dir = folder / "fleet"
        self._others: dict[str, subprocess.Popen[bytes]] = {}
        self._start_other("controller", _fleetnas("serve", "--listen", self._address, *self._data()))
        self._token = self._answer("device", "token")
        self._start_agent()
        self._answer("device", "show", "replay")

    def start(self) -> None:
        self._start_other("controller", _fleetnas("serve", "--listen", self._address, *self._data()))
        self._start_agent()
        super().start()

    def kill(self, victim: str) -> bool:
        if victim == "search" or self._process is None or self._process.poll() is not None:
            return super().kill(victim)
        self._others[victim].kill()
        self._others[victim].wait()
        return True

    def close(self) -> None:
        for process in self._others.values():
            process.kill()
            process.wait()

    def _device(self) -> list[str]:
        return ["--controller", self._address, "--device", "replay", *self._data()]

    def _data(self) -> list[str]:
        return ["--data-dir", str(self._data_dir)]

    def _start_other(self, name: str, command: list[str]) -> None:
        if name not in self._others or self._others[name].poll() is not None:
            environment = os.environ | ({"FLEETNAS_TOKEN": self._token} if name == "agent" else {})
            self._others[name] = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
            )

    def _start_agent(self) -> None:
        command = [
            sys.executable, "-m", "fleetnas_agents.cli", "--controller", self._address, "--id", "replay",
            "--driver", "replay", "--table", str(self._table), "--state-dir", str(self._folder / "agent"),
        ]  # fmt: skip
        self._start_other("agent", command)

    def _answer(self, *arguments: str) -> str:
        """Of a command, once the controller and the agent are up."""
        command = _fleetnas(*arguments, "--controller", self._address, *self._data())
        deadline_s = time.monotonic() + 30.0
        while time.monotonic() < deadline_s:
            answer = subprocess.run(command, capture_output=True, check=False, text=True)
            if answer.returncode == 0:
                return answer.stdout.strip()
            time.sleep(0.2)
        raise SystemExit(f"no answer to {' '.join(arguments)}: {answer.stderr}")


def _fleetnas(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fleetnas_controller.cli", *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
    parser.add_argument(
        "--fleet", action="store_true", help="controller, agent and search as three processes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
