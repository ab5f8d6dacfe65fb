"""From asking for a measurement to having its result, on loopback, with an agent that measures in no time.

python benchmarks/dispatch.py --json
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import MeasurementRequest, MeasurementState, ModelFile

# Quoted, not run here: apache-tvm 0.27.0.post1, tracker and server on loopback, an idle device, a loaded machine.
PEER = "TVM RPC request, call, release"
PEER_MS = {"dispatch_p50": 105.0, "dispatch_p90": 122.0}
NETWORK = b"a model architecture\x12\x0atiny/8/1,2"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spans_ms = sorted(_spans_ms(Path(folder), args.jobs))
    for percent in (50, 90, 99):
        name = f"dispatch_p{percent}"
        figure = {
            "name": name, "value": round(spans_ms[min(len(spans_ms) - 1, len(spans_ms) * percent // 100)], 2),
            "unit": "ms", "peer": PEER if name in PEER_MS else None, "peer_value": PEER_MS.get(name),
            "setting": {"jobs": args.jobs, "agents": 1, "peer": "quoted"},
        }  # fmt: skip
        print(json.dumps(figure) if args.json else f"{name} {figure['value']} ms", flush=True)
    return 0


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
