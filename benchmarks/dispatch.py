"""From asking for a measurement to having its result, on loopback, with an agent that measures in no time.

python benchmarks/dispatch.py --json
python benchmarks/dispatch.py --json --tvm-python build/tvm/bin/python      TVM's RPC in turns (see tvm_cycle.py)
python benchmarks/dispatch.py --json --stand-ins adb,ssh                    phone and board, see first_number.py

Stand-ins run a network that takes no time in the native runner on this machine; their figures are all but warming up
and sampling, so that they hold the start of the runner and the evidence, and no cable.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from first_number import device_options
from pages import TRIVIAL, trivial_graph

from fleetnas_controller.client import FleetClient
from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, MeasurementState, ModelFile
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.weights import WeightPool

PEER = "TVM RPC request, call, release"
NETWORK = b"a model architecture\x12\x0atiny/8/1,2"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--tvm-python", help="a Python that has apache-tvm; without it no peer is run")
    parser.add_argument("--stand-ins", default="", help="of these kinds too: adb,ssh (default: none)")
    parser.add_argument("--stand-in-jobs", type=int, default=30, help="of each (default: 30)")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    # The peer before and after, so that a change of the machine's load meets both.
    peer_ms, version = _peer_ms(args.tvm_python, args.jobs // 2)
    with tempfile.TemporaryDirectory() as folder:
        spans_ms = _spans_ms(Path(folder), args.jobs)
    peer_ms += _peer_ms(args.tvm_python, args.jobs // 2)[0]
    peer = f"{PEER}, {version}" if peer_ms else None
    for percent in (50, 90, 99):
        peer_value = _percentile(peer_ms, percent) if peer_ms else None
        _show(args, f"dispatch_p{percent}", _percentile(spans_ms, percent), peer, peer_value, jobs=args.jobs)
    for kind in filter(None, args.stand_ins.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            spans_ms = _stand_in_spans_ms(kind, Path(folder), args.stand_in_jobs)
        for percent in (50, 90):
            name = f"dispatch_p{percent}_{kind}"
            value = _percentile(spans_ms, percent)
            _show(args, name, value, None, None, jobs=args.stand_in_jobs, stand_in=True)
    return 0


def _show(
    args: argparse.Namespace,
    name: str,
    value: float,
    peer: str | None,
    peer_value: float | None,
    **setting: int,
) -> None:
    figure = {
        "name": name, "value": value, "unit": "ms", "peer": peer, "peer_value": peer_value,
        "setting": {"agents": 1, **setting},
    }  # fmt: skip
    print(json.dumps(figure) if args.json else f"{name} {value} ms", flush=True)


def _percentile(spans_ms: list[float], percent: int) -> float:
    return round(sorted(spans_ms)[min(len(spans_ms) - 1, len(spans_ms) * percent // 100)], 2)


def _peer_ms(python: str | None, cycle_count: int) -> tuple[list[float], str]:
    if python is None:
        return [], ""
    command = [python, str(Path(__file__).with_name("tvm_cycle.py")), str(cycle_count)]
    answer = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    )
    return answer["cycles_ms"], answer["version"]


def _spans_ms(folder: Path, job_count: int) -> list[float]:
    (folder / "table.csv").write_text("arch,latency_ms\n12,3.5\n")
    agent = AgentCommand("a", ("--driver", "replay", "--table", str(folder / "table.csv")))
    fleet = EmbeddedFleet(folder, agent)
    with fleet as client:
        fleet.wait_for_agent()
        _dispatch(client, "first")
        return [_dispatch(client, f"job-{index}") for index in range(job_count)]


def _dispatch(client: FleetClient, measurement_id: str) -> float:
    begin_s = time.perf_counter()
    artifact = client.put_artifact(NETWORK)
    files = (ModelFile("net.onnx", artifact.sha256, artifact.size_bytes),)
    _finished(client, MeasurementRequest(measurement_id, files, "net.onnx"))
    return (time.perf_counter() - begin_s) * 1000.0


def _stand_in_spans_ms(kind: str, folder: Path, job_count: int) -> list[float]:
    with device_options(kind, folder) as options:
        fleet = EmbeddedFleet(folder / "fleet", AgentCommand("a", tuple(options)))
        with fleet as client:
            fleet.wait_for_agent()
            # The runner is on its way to the device until then.
            _stand_in_dispatch(client, "first")
            return [_stand_in_dispatch(client, f"job-{index}") for index in range(job_count)]


def _stand_in_dispatch(client: FleetClient, measurement_id: str) -> float:
    begin_s = time.perf_counter()
    network = emit_ncnn(trivial_graph(), WeightPool(None), key="trivial")
    contents = {"net.param": network.param_text.encode(), "net.bin": network.bin_bytes}
    stored = {name: client.put_artifact(content) for name, content in contents.items()}
    files = tuple(ModelFile(name, one.sha256, one.size_bytes) for name, one in stored.items())
    result = _finished(client, MeasurementRequest(measurement_id, files, "net.param", plan=TRIVIAL)).result
    assert result is not None  # it is done
    run_s = result.raw.warmup_duration_s + result.raw.sampling_duration_s
    return (time.perf_counter() - begin_s - run_s) * 1000.0


def _finished(client: FleetClient, request: MeasurementRequest) -> MeasurementRecord:
    record = client.create_measurement(request)
    finished = client.wait_any([record.name], 30.0)
    if not finished or finished[0].state is not MeasurementState.DONE:
        raise SystemExit(
            f"{record.name} is {finished[0].state}: {finished[0].fault}" if finished else record.name
        )
    return finished[0]


if __name__ == "__main__":
    sys.exit(main())
