"""Pages in a browser beside the runtimes of this machine: ratios, ranks, start-up, payload and dispatch.

    taskset -c 1 python benchmarks/pages.py --json

Needs Chromium and the built page (``python agents/page/build.py``); the native runner is taken along where it is
built. Everything runs on the cores that this process may use. Networks are drawn from NAS-Bench-Macro; each runs
beside the space's reference, through the real controller, one device at a time, in ``--rounds`` rounds of random
order. Chromium without SIMD (V8 told that the CPU is an old one) stands in for an iPhone 6s: its ranks count, its
milliseconds do not.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from runner_ranks import in_runner, tau

from fleetnas_agents.drivers.runner_file import find_runner
from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import DeviceState, Limits, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.listening import parse_address
from fleetnas_controller.network_files import onnx_files
from fleetnas_controller.operator import operator_token
from fleetnas_controller.pages.settings import PageSettings
from fleetnas_controller.pages.site import find_site
from fleetnas_controller.server import ControllerServer
from fleetnas_latency.measurement import Measurement, Plan
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.builder import GraphBuilder
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FleetNASError, NotFoundError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Operator, OperatorKind
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

PLAN = Plan(
    min_duration_s=0.6, max_duration_s=1.2, warmup_min_s=0.1, warmup_cap_s=0.4, min_run_count=5,
    min_round_count=4, anchor_share=0.5, relative_half_width=0.005,
)  # fmt: skip
TRIVIAL = Plan(
    min_duration_s=0.0, max_duration_s=0.001, warmup_min_s=0.0, warmup_cap_s=0.001, min_run_count=1,
    min_round_count=1, anchor_share=0.0,
)  # fmt: skip
KINDS = ("host", "page-simd", "page-nosimd")
_NO_SIMD = (
    "--js-flags=--no-enable-ssse3 --no-enable-sse4-1 --no-enable-sse4-2 --no-enable-avx --no-enable-avx2"
)
_START_S = 120.0


class Served:
    """A controller in a thread, and its devices as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        started: Future[tuple[str, asyncio.Event]] = Future()
        threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(started),), daemon=True
        ).start()
        self.address, self._stopping = started.result(60.0)
        self.client = FleetClient(self.address, operator_token(folder))

    async def _serve(self, started: "Future[tuple[str, asyncio.Event]]") -> None:
        stopping = asyncio.Event()
        try:
            pages = PageSettings(parse_address("127.0.0.1:0"))
            server = ControllerServer(self._folder, "127.0.0.1:0", pages=pages)
            started.set_result((await server.start(), stopping))
        except BaseException as error:
            started.set_exception(error)
            raise
        await stopping.wait()
        await server.stop()

    def close(self) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self._stopping.set)

    @contextmanager
    def device(self, kind: str) -> Iterator[None]:
        """Of that name, which is there when the context begins and gone when it ends."""
        token = self.client.create_join_token(device_id=kind, page=kind != "host")
        if kind == "host":
            command = [
                sys.executable, "-m", "fleetnas_agents.cli", "--controller", self.address, "--driver", "host",
                "--state-dir", str(self._folder / "agent"),
            ]  # fmt: skip
        else:
            command = browser_command(self._folder / kind, kind, token.page_url)
        process = subprocess.Popen(
            command,
            env=os.environ | {"FLEETNAS_TOKEN": token.secret},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_for(kind)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _wait_for(self, kind: str) -> None:
        end_s = time.monotonic() + _START_S
        while time.monotonic() < end_s:
            try:
                if self.client.get_device(kind).state is DeviceState.ONLINE:
                    return
            except NotFoundError:
                pass
            time.sleep(0.02)
        raise SystemExit(f"{kind} did not come up within {_START_S:g} s")

    def measure(
        self, name: str, kind: str, entry: str, files: tuple[ModelFile, ...], plan: Plan, anchor: str = ""
    ) -> Measurement:
        request = MeasurementRequest(
            name, files, entry, anchor_entry_file=anchor, plan=plan, selector=Selector(device=kind),
            limits=Limits(silence_s=120.0),
        )  # fmt: skip
        record = self.client.create_measurement(request)
        finished = self.client.wait_any([record.name], 300.0)
        if not finished or finished[0].result is None:
            raise SystemExit(
                f"{kind} did not measure {name}: {finished[0].fault if finished else 'no answer'}"
            )
        return finished[0].result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dispatches", type=int, default=15, help="trivial jobs of each kind of device")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    setting = {"space": "nas-bench-macro", "networks": args.networks, "rounds": args.rounds, "threads": 1}
    with tempfile.TemporaryDirectory() as name:
        served = Served(Path(name) / "fleet")
        try:
            for figure in figures(served, Path(name), args):
                line = {"peer": None, "peer_value": None, **figure, "setting": setting}
                text = f"{figure['name']}: {figure['value']} {figure['unit']}"
                print(json.dumps(line) if args.json else text, flush=True)
        finally:
            served.close()
    return 0


def figures(served: Served, folder: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for kind in KINDS[1:]:
        yield {"name": f"payload_{kind}", "value": payload_bytes(kind), "unit": "bytes"}
    trivial = trivial_network(served.client)
    for kind in KINDS:
        begin_s = time.monotonic()
        with served.device(kind):
            served.measure(f"first-{kind}", kind, *trivial, TRIVIAL)
            yield {"name": f"first_number_{kind}", "value": round(time.monotonic() - begin_s, 2), "unit": "s"}
            waits = sorted(dispatch_ms(served, kind, trivial, index) for index in range(args.dispatches))
            yield {"name": f"dispatch_p50_{kind}", "value": round(median(waits), 1), "unit": "ms"}
    with ExitStack() as stack:
        for kind in KINDS:
            stack.enter_context(served.device(kind))
        yield from ranks(served, folder, args.networks, args.rounds)


def browser_command(profile: Path, kind: str, page_url: str) -> list[str]:
    """A headless browser that opens a page's link; to be killed with the processes it starts.

    Args:
        kind: ``page-simd`` or ``page-nosimd``.
    """
    return [
        str(shutil.which("chromium")), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", *([_NO_SIMD] if kind == "page-nosimd" else []),
        f"{page_url}&stand-in=chromium",
    ]  # fmt: skip


def payload_bytes(kind: str) -> int:
    """What a browser downloads before its first job, compressed as it is served."""
    runtime = kind.removeprefix("page-")
    files = find_site().files.items()
    sent = [one.path for name, one in files if "/" not in name or name.startswith(f"{runtime}/")]
    return sum(path.with_name(f"{path.name}.gz").stat().st_size for path in sent)


def trivial_graph() -> Graph:
    """Loaded and run in next to no time."""
    builder = GraphBuilder(8)
    with builder.block(Operator(OperatorKind.LINEAR, 3, 4, 1, bias=True), "head"):
        builder.linear("head", builder.global_average_pool("pool", builder.input), 4)
    return builder.build()


def trivial_network(client: FleetClient) -> tuple[str, tuple[ModelFile, ...]]:
    stored = client.put_artifact(emit_onnx(trivial_graph(), WeightPool(None), key="trivial").model_bytes)
    return "net.onnx", (ModelFile("net.onnx", stored.sha256, stored.size_bytes),)


def dispatch_ms(served: Served, kind: str, trivial: tuple[str, tuple[ModelFile, ...]], index: int) -> float:
    """From the request of a measurement to its result at the client, without the runs themselves."""
    begin_s = time.monotonic()
    result = served.measure(f"trivial-{kind}-{index}", kind, *trivial, TRIVIAL)
    run_s = result.raw.warmup_duration_s + result.raw.sampling_duration_s
    return (time.monotonic() - begin_s - run_s) * 1e3


def ranks(served: Served, folder: Path, network_count: int, round_count: int) -> Iterator[dict[str, Any]]:
    found = space("nas-bench-macro")
    rng = Random(0)
    networks = [found.canonical(found.sample(rng)) for _ in range(network_count)]
    files = onnx_files(found, WeightPool(folder / "pool"), served.client.put_artifact)
    anchor, anchor_files = files.upload(found.canonical(found.reference))
    readings: dict[str, list[list[Measurement]]] = {kind: [[] for _ in networks] for kind in (*KINDS, "ncnn")}
    core = max(os.sched_getaffinity(0))
    runner = has_runner()
    for round_index in range(round_count):
        for index in rng.sample(range(network_count), network_count):
            entry, own = files.upload(networks[index])
            whole = tuple(dict.fromkeys((*own, *anchor_files)))
            for kind in KINDS:
                result = served.measure(f"{kind}-{round_index}-{index}", kind, entry, whole, PLAN, anchor)
                readings[kind][index].append(result)
            if runner:
                readings["ncnn"][index].append(natively(folder, networks[index], core))
    yield from compared({kind: one for kind, one in readings.items() if one[0]})


def compared(readings: dict[str, list[list[Measurement]]]) -> Iterator[dict[str, Any]]:
    """Of each runtime, the rounds of each network: how they rank the networks by their ratio to the reference."""
    ratios = {kind: [ratio(one, kind) for one in rounds] for kind, rounds in readings.items()}
    times = {kind: [median(series(one, "wall_ms")) for one in rounds] for kind, rounds in readings.items()}
    for kind, rounds in readings.items():
        halves = [(ratio(one[::2], kind), ratio(one[1::2], kind)) for one in rounds if len(one) > 1]
        if halves:
            yield {"name": f"tau_{kind}_itself", "value": round(tau(halves), 3), "unit": "1"}
        if kind != "host":
            over = [value / base for value, base in zip(times[kind], times["host"], strict=True)]
            yield {"name": f"{kind}_over_native", "value": round(median(over), 2), "unit": "1",
                   "peer": "onnxruntime", "low": round(min(over), 2), "high": round(max(over), 2)}  # fmt: skip
    for one, other in combinations(readings, 2):
        value = round(tau(list(zip(ratios[one], ratios[other], strict=True))), 3)
        yield {"name": f"tau_{other}_{one}", "value": value, "unit": "1"}


def ratio(rounds: Sequence[Measurement], kind: str) -> float:
    """Of a network to the reference beside it, by the statistic that searches use on such a device."""
    if kind.startswith("page"):
        return median(series(rounds, "wall_ms")) / median(series(rounds, "wall_ms", anchor=True))
    return lowest_decile(series(rounds, "cpu_ms")) / lowest_decile(series(rounds, "cpu_ms", anchor=True))


def lowest_decile(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) // 10]


def series(rounds: Sequence[Measurement], clock: str, *, anchor: bool = False) -> list[float]:
    """The runs of all rounds, in milliseconds."""
    timed = (one.raw.anchor if anchor else one.raw.candidate for one in rounds)
    return [sample for one in timed for sample in getattr(one, clock)]


def has_runner() -> bool:
    try:
        return find_runner(None, "x86_64").is_file()
    except FleetNASError:
        return False


def natively(folder: Path, architecture: Architecture, core: int) -> Measurement:
    """In the runner on ncnn, beside the reference."""
    found = space("nas-bench-macro")
    pool = WeightPool(folder / "pool")
    for name, one in {"net": architecture, "anchor": found.canonical(found.reference)}.items():
        model = emit_ncnn(found.graph(one), pool, key=name)
        (folder / f"{name}.param").write_text(model.param_text)
        (folder / f"{name}.bin").write_bytes(model.bin_bytes)
    return in_runner(folder, core, PLAN)


if __name__ == "__main__":
    sys.exit(main())
