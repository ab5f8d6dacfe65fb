"""Many jobs over played devices with every fault on, and a controller that is killed; then every promise is checked.

python benchmarks/fleet_load.py --seeds 20 --json
python benchmarks/fleet_load.py --jobs 4000 --kills 50 --json
python benchmarks/fleet_load.py --jobs 2000 --kills 10 --agent-kills 10 --json

The controller and the agents are the processes a user starts. Exit code 1 when a promise was broken.
"""

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from fleet_check import Findings, check

from fleetnas_agents.drivers.replay.networks import stand_in_network
from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import Limits, MeasurementRequest, ModelFile
from fleetnas_controller.operator import operator_token
from fleetnas_search_spaces.errors import DeadlineExceededError, UnavailableError

FAULTS = (
    "drift=0.02", "throttle=0.02", "wrong-result=0.02", "crash=0.05", "hang=0.02", "truncate=0.05",
    "disconnect=0.03", "silence=0.01:4", "slow-link=0.03:0.05", "duplicate=0.05", "stale=0.05",
)  # fmt: skip
LIMITS = Limits(device_s=3600.0, silence_s=1.0, total_s=10.0)
HEARTBEAT_S, LEASE_S = 0.5, 2.0
NETWORKS = 200
BATCH = 250


class Controller:
    """`fleetnas serve` on one port and folder, started as often as it is killed."""

    def __init__(self, folder: Path, heartbeat_s: float = HEARTBEAT_S, lease_s: float = LEASE_S) -> None:
        self._times = ["--heartbeat-s", str(heartbeat_s), "--lease-s", str(lease_s)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.data_dir = folder / "fleet"
        self._log = (folder / "controller.log").open("ab")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "fleetnas_controller.cli", "serve", "--listen", self.address,
                "--data-dir", str(self.data_dir), "--health-interval", "off", *self._times,
            ],
            stderr=self._log,
        )  # fmt: skip

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def client(self) -> FleetClient:
        """Connected: waits until the controller answers."""
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            if (self.data_dir / "operator.token").exists():
                client = FleetClient(self.address, operator_token(self.data_dir))
                try:
                    client.list_devices()
                    return client
                except UnavailableError:
                    client.close()
            if self.process.poll() is not None:
                raise SystemExit(f"the controller ended with {self.process.returncode}")
            time.sleep(0.05)
        raise SystemExit("the controller does not answer")


def prepare_agents(folder: Path, controller: Controller, count: int) -> str:
    """Writes the table; returns a join token for all."""
    keys = [",".join(f"{index:04d}") for index in range(NETWORKS)]
    rows = [
        f"{''.join(key.split(','))},{2.0 + index / 50:.2f},{4.0 + index / 25:.2f}"
        for index, key in enumerate(keys)
    ]
    (folder / "table.csv").write_text("\n".join(["arch,phone,board", *rows]) + "\n")
    with controller.client() as client:
        return client.create_join_token(use_count=count, ttl_s=3600.0).secret


def start_agents(folder: Path, address: str, token: str, count: int, seed: int) -> "subprocess.Popen[bytes]":
    faults = [part for one in FAULTS for part in ("--fault", one)]
    with (folder / "agents.log").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable, "-m", "fleetnas_agents.cli", "--controller", address,
                "--state-dir", str(folder / "played"), "--driver", "replay", "--table", str(folder / "table.csv"),
                "--devices", str(count), "--id", "load", "--seed", str(seed), "--trace", str(folder / "trace"),
                "--reconnect-cap-s", "1", "--log-level", "warning", *faults,
            ],
            stderr=log, env=os.environ | {"FLEETNAS_TOKEN": token},
        )  # fmt: skip


def requests(client: FleetClient, job_count: int) -> list[MeasurementRequest]:
    files = []
    for index in range(NETWORKS):
        artifact = client.put_artifact(stand_in_network(f"load/8/{','.join(f'{index:04d}')}"))
        files.append(ModelFile("net.onnx", artifact.sha256, artifact.size_bytes))
    return [
        MeasurementRequest(
            f"job-{index:05d}", (files[index % NETWORKS],), "net.onnx", limits=LIMITS, priority=index % 3
        )
        for index in range(job_count)
    ]


class Load:
    """One run: feeds the jobs, kills the controller, watches the store, and checks at the end."""

    def __init__(self, folder: Path, args: argparse.Namespace, seed: int) -> None:
        self._folder = folder
        self._job_count = args.jobs
        self._rng = random.Random(seed)
        self._victims = ["controller"] * args.kills + ["agents"] * args.agent_kills
        self._rng.shuffle(self._victims)
        self._kill_count = len(self._victims)
        self._deadline = time.monotonic() + args.limit_s
        self.controller = Controller(folder)
        token = prepare_agents(folder, self.controller, args.agents)
        self._start_agents = lambda: start_agents(folder, self.controller.address, token, args.agents, seed)
        self.agents = self._start_agents()
        self.doubles: list[str] = []
        self.controller_kills = 0

    def run(self) -> None:
        with self.controller.client() as client:
            self._wanted = requests(client, self._job_count)
        self._fed = 0
        client = self.controller.client()
        self._next_kill = time.monotonic() + self._rng.uniform(0.1, 1.5)
        while self._unfinished():
            if time.monotonic() > self._deadline:
                raise DeadlineExceededError(
                    f"{self._unfinished()} jobs are not finished in time: a wait is unbounded"
                )
            if self._victims and time.monotonic() >= self._next_kill:
                client.close()
                pause_s = self._kill(self._victims.pop())
                client = self.controller.client()
                self._next_kill = time.monotonic() + self._rng.uniform(0.1, pause_s)
            self._feed(client)
            self._watch()
            time.sleep(0.05 if self._victims else 0.3)
        client.close()

    def stop(self) -> None:
        for process in (self.agents, self.controller.process):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
            process.kill()
            process.wait()

    def _unfinished(self) -> int:
        return (
            self._job_count
            - self._query("SELECT count(*) FROM measurements WHERE state IN ('done', 'failed')")[0][0]
        )

    def _feed(self, client: FleetClient) -> None:
        """Keeps a queue; a creation that a kill cut off is asked for again, which is asking once."""
        queued = self._query("SELECT count(*) FROM measurements WHERE state IN ('queued', 'leased')")[0][0]
        # Between two kills there is always something left to feed, so that every kill falls into load.
        share = (self._kill_count - len(self._victims) + 1) / (self._kill_count + 1)
        end = min(self._fed + BATCH, round(self._job_count * share))
        if self._fed < end and queued < 4 * BATCH:
            with suppress(UnavailableError):
                client.create_measurements(self._wanted[self._fed : end])
                self._fed = end

    def _kill(self, victim: str) -> float:
        """SIGKILL and a new start; longest pause before the next, in seconds."""
        if victim == "agents":
            self.agents.kill()
            self.agents.wait()
            self.agents = self._start_agents()
            return 6.0
        self._kill_controller()
        if self._rng.random() < 0.2:
            # Sometimes before it has listened, sometimes while it recovers.
            time.sleep(self._rng.uniform(0.0, 1.0))
            self._kill_controller()
        return 1.5

    def _kill_controller(self) -> None:
        self.controller.kill()
        self.controller_kills += 1
        self.controller.start()

    def _watch(self) -> None:
        twice = "SELECT device FROM measurements WHERE state = 'leased' GROUP BY device HAVING count(*) > 1"
        self.doubles += [row[0] for row in self._query(twice)]

    def _query(self, text: str) -> list[tuple[int]]:
        database = sqlite3.connect(
            f"file:{self.controller.data_dir / 'store.db'}?mode=ro", uri=True, timeout=10.0
        )
        try:
            return database.execute(text).fetchall()
        finally:
            database.close()


def run_seed(args: argparse.Namespace, seed: int, folder: Path) -> tuple[Findings, list[str], float]:
    begin_s = time.monotonic()
    load = Load(folder, args, seed)
    broken = []
    try:
        load.run()
    except DeadlineExceededError as error:
        broken.append(str(error))
    finally:
        load.stop()
    span_s = time.monotonic() - begin_s
    broken += [f"{device} held two measurements at once" for device in load.doubles]
    found = check(
        load.controller.data_dir / "store.db", folder / "trace", [one.measurement_id for one in load._wanted]
    )
    return found, [*broken, *found.broken], span_s


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs of the controller at random moments")
    parser.add_argument("--agent-kills", type=int, default=0, help="SIGKILLs of the process of all agents")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--limit-s", type=float, default=900.0, help="a run that takes longer has an unbounded wait"
    )
    parser.add_argument("--keep", type=Path, help="folder for stores, traces and logs")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    total = 0
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if args.keep is None else args.keep / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            found, broken, span_s = run_seed(args, seed, folder)
        total += len(broken)
        setting = {
            "jobs": args.jobs,
            "agents": args.agents,
            "kills": args.kills,
            "agent_kills": args.agent_kills,
            "seed": seed,
            "faults": FAULTS,
        }
        figures = {"broken_promises": (len(broken), "count"), "longest_job": (round(found.longest_s, 1), "s"),
                   "run": (round(span_s, 1), "s")}  # fmt: skip
        for name, (value, unit) in figures.items():
            line = {
                "name": name,
                "value": value,
                "unit": unit,
                "peer": None,
                "peer_value": None,
                "setting": setting,
            }
            print(json.dumps(line) if args.json else f"seed {seed}: {name} {value} {unit}", flush=True)
        for sentence in broken[:20]:
            print(f"seed {seed}: {sentence}", file=sys.stderr, flush=True)
        print(f"seed {seed}: {json.dumps(found.counts, sort_keys=True)}", file=sys.stderr, flush=True)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
