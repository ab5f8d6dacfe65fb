"""From starting a controller to the first latency of a MobileNetV2: the host, and stand-ins for what is held in hand.

``benchmarks/first_number.py [--runs N] [--jobs N] [--json]``. Needs what the tests of stand-ins need: adb, sshd and
the native runner (``make runner TARGET=x86_64``), Chromium and the page (``make page``). A stand-in speaks the
device's real protocol to the real agent and runs the network on this machine: its times are those of FleetNAS and of
the link's software, of no cable or device. Chromium without SIMD stands in for an old iPhone, with it for a phone of
today.

Figures, each the median over the runs: ``controller_s`` until the controller answers; ``joined_s`` from then until
the agent is online, which for phones and boards includes pushing the runner, for pages starting the browser and
downloading the page; ``number_s`` from asking until the result, upload and all; ``first_number_s`` all together;
``payload_bytes`` of the job's files, which travel to the agent and from there to a device; ``once_bytes`` of what
travels to a device once (runner, page and its runtime as compressed); ``overhead_ms`` of a further measurement of the
same network, all but warming up and sampling.
"""

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from pages import browser_command, payload_bytes

from fleetnas_agents.drivers.runner_file import find_runner
from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import DeviceState, MeasurementRequest, MeasurementState, ModelFile
from fleetnas_controller.operator import operator_token
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FleetNASError
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

STAND_INS = Path(__file__).parents[1] / "tests" / "stand_ins"
KINDS = ("host", "adb", "ssh", "page-simd", "page-nosimd")
# One length for all: what differs is what lies around the sampling.
PLAN = Plan(min_duration_s=1.0, max_duration_s=1.0, warmup_min_s=0.2, warmup_cap_s=0.2, anchor_share=0.0)
WAIT_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="fresh controllers a kind (default: 3)")
    parser.add_argument("--jobs", type=int, default=5, help="further measurements a run (default: 5)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    for kind in args.kinds.split(","):
        runs = []
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as folder, device_options(kind, Path(folder)) as options:
                runs.append(_run(kind, Path(folder), options, args.jobs))
        for name in runs[0]:
            figure = {
                "name": f"{kind}_{name}",
                "value": round(median(one[name] for one in runs), 3),
                "unit": name.rpartition("_")[2].replace("bytes", "B"),
                "peer": None,
                "peer_value": None,
                "setting": {"runs": args.runs, "jobs": args.jobs, "stand_in": kind != "host"},
            }
            print(json.dumps(figure) if args.json else f"{figure['name']} {figure['value']}", flush=True)
    return 0


def _run(kind: str, folder: Path, options: list[str], job_count: int) -> dict[str, float]:
    begin_s = time.monotonic()
    pages = ("--pages", "127.0.0.1:0") if _is_page(kind) else ()
    with _process("fleetnas_controller.cli", "serve", "--data-dir", str(folder / "fleet"), "--listen",
                  "127.0.0.1:0", "--health-interval", "off", *pages, log=folder / "controller.log"):  # fmt: skip
        address = _until(lambda: _address(folder / "controller.log"), "the controller listens")
        with FleetClient(address, operator_token(folder / "fleet"), patience_s=WAIT_S) as client:
            token = client.create_join_token(device_id="d", use_count=1, page=_is_page(kind))
            served_s = time.monotonic()
            agent = ("fleetnas_agents.cli", "--controller", address, "--state-dir", str(folder / "agent"))
            with (
                _browser(kind, folder, token.page_url)
                if _is_page(kind)
                else _process(*agent, *options, log=folder / "agent.log", FLEETNAS_TOKEN=token.secret)
            ):
                _until(lambda: _online(client), "the agent is online")
                joined_s = time.monotonic()
                payload = _files(client, kind, folder)
                _measure(client, kind, payload, "first")
                number_s = time.monotonic()
                overheads_ms = [_overhead_ms(client, kind, folder, index) for index in range(job_count)]
    return {
        "controller_s": served_s - begin_s,
        "joined_s": joined_s - served_s,
        "number_s": number_s - joined_s,
        "first_number_s": number_s - begin_s,
        "payload_bytes": float(sum(one.size_bytes for one in payload)),
        "once_bytes": float(_once_bytes(kind)),
        "overhead_ms": median(overheads_ms),
    }


def _is_page(kind: str) -> bool:
    return kind.startswith("page-")


def _once_bytes(kind: str) -> int:
    if kind == "host":
        return 0
    return payload_bytes(kind) if _is_page(kind) else find_runner(None, "x86_64").stat().st_size


def _overhead_ms(client: FleetClient, kind: str, folder: Path, index: int) -> float:
    begin_s = time.monotonic()
    raw = _measure(client, kind, _files(client, kind, folder), f"again-{index}").raw
    return (time.monotonic() - begin_s - raw.warmup_duration_s - raw.sampling_duration_s) * 1e3


def _files(client: FleetClient, kind: str, folder: Path) -> tuple[ModelFile, ...]:
    """Those of the network, uploaded; the one that is loaded comes first."""
    found = space("mobilenet-v2-paper")
    pool, graph = WeightPool(folder / "pool"), found.graph(found.reference)
    if kind in ("adb", "ssh"):
        ncnn = emit_ncnn(graph, pool, key="k", external=True)
        contents = {"net.param": ncnn.param_text.encode(), "net.weights": ncnn.weights_text.encode()}
        shared = ncnn.weight_files
    else:
        onnx = emit_onnx(graph, pool, key="k", external=True)
        contents, shared = {"net.onnx": onnx.model_bytes}, onnx.weight_files
    stored = {path: client.put_artifact(content) for path, content in contents.items()}
    stored |= {one.name: client.put_artifact(one.path) for one in shared}
    return tuple(ModelFile(path, one.sha256, one.size_bytes) for path, one in stored.items())


def _measure(client: FleetClient, kind: str, files: tuple[ModelFile, ...], name: str) -> Any:
    created = client.create_measurement(MeasurementRequest(name, files, files[0].path, plan=PLAN))
    records = client.wait_any([created.name], WAIT_S)
    if not records or records[0].state is not MeasurementState.DONE:
        raise SystemExit(f"first_number: {kind}: {records[0].fault if records else 'no result'}")
    return records[0].result


def _online(client: FleetClient) -> bool:
    try:
        return client.get_device("devices/d").state is DeviceState.ONLINE
    except FleetNASError:
        return False


def _address(log: Path) -> str:
    found = re.search(r"127\.0\.0\.1:\d+", log.read_text())
    return found[0] if found else ""


@contextmanager
def _process(*command: str, log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=os.environ | environment, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _browser(kind: str, folder: Path, page_url: str) -> Iterator[None]:
    process = subprocess.Popen(
        browser_command(folder / "profile", kind, page_url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # It starts processes of its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def device_options(kind: str, folder: Path) -> Iterator[list[str]]:
    """The agent's options for a device of that kind, with its stand-in where it needs one."""
    if kind not in ("adb", "ssh"):
        yield ["--driver", "host"]
        return
    devices, cable = _load("devices"), _load("cable").Cable
    server = {
        "ANDROID_ADB_SERVER_PORT": str(devices.free_port()), "HOME": str(folder), "ADB_MDNS": "0",
    }  # fmt: skip
    os.environ.update(server)
    make = devices.Phone if kind == "adb" else devices.Board
    device = make(cable, folder / "device", machine="x86_64")
    try:
        yield [*device.agent_options(), "--device-folder", str(device.folder), "--stand-in", "x86_64-double"]
    finally:
        device.close()
        if kind == "adb":
            import adbutils

            subprocess.run([adbutils.adb_path(), "kill-server"], capture_output=True, check=False)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, STAND_INS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _until(condition: Any, what: str) -> Any:
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        if value := condition():
            return value
        time.sleep(0.01)
    raise SystemExit(f"first_number: it did not happen in {WAIT_S:g} s: {what}")


if __name__ == "__main__":
    sys.exit(main())
