"""Durable propose and tell over gRPC: pairs a second with several clients, the controller on one core.

python benchmarks/propose_tell.py --json

Every answer leaves after its transaction: a pair survives the death of the controller (SQLite's write-ahead log,
synchronous NORMAL: a power cut may lose the last ones). Each client is a process that proposes, tells, and so on.
"""

import argparse
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.operator import operator_token
from fleetnas_controller.search_config import SearchConfig
from fleetnas_search_spaces.errors import FleetNASError

# Quoted, not run here: PaddleSlim 2.6.0's SANAS, tokens and rewards over its socket, one client (with two it dies);
# with a checkpoint after each tell, which makes it as durable as this, 215 a second.
PEER = "PaddleSlim SANAS, one client, no checkpoint"
PEER_PER_S = 928.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each setting (default: 10)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--strategies", nargs="+", default=["random", "evolution", "predictor"])
    parser.add_argument("--server-core", type=int, help="core the controller is pinned to (default: as this)")
    parser.add_argument("--client-core", type=int, help="core the clients are pinned to (default: as this)")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    for strategy in args.strategies:
        for count in args.clients:
            with tempfile.TemporaryDirectory() as folder:
                figures = _run(Path(folder), strategy, count, args)
            for figure in figures:
                _print(figure, as_json=args.json)
    return 0


def _run(folder: Path, strategy: str, count: int, args: argparse.Namespace) -> list[dict[str, object]]:
    address = _free_address()
    controller = subprocess.Popen(
        [
            sys.executable, "-m", "fleetnas_controller.cli", "serve", "--health-interval", "off", "--listen", address,
            "--data-dir", str(folder), "--health-interval", "off", "--log-level", "error",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _pin(controller.pid, args.server_core)
        name = f"{strategy}-{count}"
        with _client(address, folder) as client:
            budget = 10_000_000
            client.create_search(
                SearchConfig(name, "nas-bench-macro", strategy, "client", ("x",), budget=budget)
            )
        spans_ms, wall_s, cpu_s = _measure(address, folder, name, count, controller.pid, args)
        with _client(address, folder) as client:
            stored = client.get_search(name).ended_count
    finally:
        controller.kill()
        controller.wait()
    if stored != len(spans_ms):
        raise SystemExit(f"{len(spans_ms)} pairs were answered and {stored} are stored")
    setting = {
        "strategy": strategy,
        "clients": count,
        "pairs": stored,
        "controller_cpu": round(cpu_s / wall_s, 2),
    }
    rate = {"name": "propose_tell_pairs", "value": round(stored / wall_s, 1), "unit": "1/s", "peer": PEER}
    p99 = {"name": "propose_tell_p99", "value": round(sorted(spans_ms)[int(0.99 * stored)], 2), "unit": "ms"}
    return [
        {**rate, "peer_value": PEER_PER_S, "setting": setting},
        {**p99, "peer": None, "peer_value": None, "setting": setting},
    ]


def _measure(
    address: str, folder: Path, name: str, count: int, controller_pid: int, args: argparse.Namespace
) -> tuple[list[float], float, float]:
    """Spans of all pairs, the time they took together, and the controller's CPU time meanwhile."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(count + 1)
    answers: multiprocessing.Queue[list[float]] = context.Queue()
    arguments = (address, str(folder), name, args.seconds, args.client_core, ready, answers)
    clients = [context.Process(target=_trainer, args=arguments) for _ in range(count)]
    for one in clients:
        one.start()
    ready.wait(120.0)
    begin_s, begin_cpu_s = time.perf_counter(), _cpu_s(controller_pid)
    spans_ms = [span for _ in clients for span in answers.get(timeout=args.seconds + 120.0)]
    wall_s, cpu_s = time.perf_counter() - begin_s, _cpu_s(controller_pid) - begin_cpu_s
    for one in clients:
        one.join()
    return spans_ms, wall_s, cpu_s


def _trainer(
    address: str,
    folder: str,
    name: str,
    seconds: float,
    core: int | None,
    ready: "multiprocessing.synchronize.Barrier",
    answers: "multiprocessing.Queue[list[float]]",
) -> None:
    _pin(0, core)
    spans_ms = []
    with FleetClient(address, operator_token(Path(folder))) as client:
        client.get_search(name)
        ready.wait(120.0)
        end_s = time.perf_counter() + seconds
        while (begin_s := time.perf_counter()) < end_s:
            trial = client.propose(name)
            client.tell(name, trial.number, 80.0 + trial.number % 13)
            spans_ms.append((time.perf_counter() - begin_s) * 1000.0)
    answers.put(spans_ms)


def _client(address: str, folder: Path) -> FleetClient:
    """A client of a controller that has begun to answer."""
    deadline = time.monotonic() + 30.0
    while True:
        try:
            client = FleetClient(address, operator_token(folder))
            client.list_devices()
            return client
        except FleetNASError:
            client.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def _pin(pid: int, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(pid, {core})


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(figure: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figure), flush=True)
    else:
        print(f"{figure['name']} {figure['value']} {figure['unit']} {figure['setting']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
