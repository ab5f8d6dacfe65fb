"""From asking for a measurement to having its result, on loopback, with an agent that measures in no time.

python benchmarks/dispatch.py --json
python benchmarks/dispatch.py --json --tvm-python build/tvm/bin/python      TVM's RPC in turns (see tvm_cycle.py)
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import MeasurementRequest, MeasurementState, ModelFile

PEER = "TVM RPC request, call, release"
NETWORK = b"a model architecture\x12\x0atiny/8/1,2"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--tvm-python", help="a Python that has apache-tvm; without it no peer is run")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    # The peer before and after, so that a change of the machine's load meets both.
    peer_ms, version = _peer_ms(args.tvm_python, args.jobs // 2)
    with tempfile.TemporaryDirectory() as folder:
        spans_ms = _spans_ms(Path(folder), args.jobs)
    peer_ms += _peer_ms(args.tvm_python, args.jobs // 2)[0]
    for percent in (50, 90, 99):
        name = f"dispatch_p{percent}"
        figure = {
            "name": name, "value": _percentile(spans_ms, percent), "unit": "ms",
            "peer": f"{PEER}, {version}" if peer_ms else None,
            "peer_value": _percentile(peer_ms, percent) if peer_ms else None,
            "setting": {"jobs": args.jobs, "agents": 1},
        }  # fmt: skip
        print(json.dumps(figure) if args.json else f"{name} {figure['value']} ms", flush=True)
    return 0


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
    record = client.create_measurement(MeasurementRequest(measurement_id, files, "net.onnx"))
    (record,) = client.wait_any([record.name], 30.0)
    if record.state is not MeasurementState.DONE:
        raise SystemExit(f"{record.name} is {record.state}: {record.fault}")
    return (time.perf_counter() - begin_s) * 1000.0


if __name__ == "__main__":
    sys.exit(main())
