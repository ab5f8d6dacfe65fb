"""How dispatch grows with the fleet: N agents, N jobs a second, a controller on one core.

taskset -c 0 python benchmarks/fleet_scale.py --controller-core 1 --json

A cycle is what a client sees: it asks for a measurement at its moment (the moments are spread evenly over the second,
whether earlier ones are done or not; what falls due within 5 ms goes out in one call), an agent gets it, reports a
result of 60 runs at once, and the client hears that it is done. Agents and client share one process and speak the
real protocol without files or disk, so that it is the controller that is measured. Its CPU and memory: /proc.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc.aio as aio
from fleet_load import Controller

from fleetnas_agents.drivers.replay.networks import stand_in_network
from fleetnas_agents.jobs import Lease
from fleetnas_agents.wire import report_to_pb
from fleetnas_controller.jobs import MeasurementRequest, ModelFile
from fleetnas_controller.operator import operator_token
from fleetnas_controller.wire import to_pb
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, judge
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import fleet_pb2, fleet_pb2_grpc, measurement_pb2, measurement_pb2_grpc

HEARTBEAT_S, LEASE_S = 2.0, 10.0
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
CONNECTING = 50
BATCH_S = 0.005
TICK_HZ = os.sysconf("SC_CLK_TCK")


def prepared_report() -> fleet_pb2.Report:
    runs = tuple(3.5 + 0.001 * (index % 7) for index in range(60))
    series = RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(index // 6 for index in range(60)))
    result = judge(RawMeasurement(candidate=series), Plan(), Evidence((("stand_in", "replay"),)))
    target = Target("scale", "replay", "1", stand_in="replay")
    return report_to_pb(Lease("measurements/m", 1), (result, target))


class Agents:
    """N sessions that answer every assignment at once."""

    def __init__(self, address: str, token: str, count: int) -> None:
        self._address = address
        self._token = token
        self._count = count
        self._report = prepared_report()
        self.assigned_s: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._welcomed = 0

    async def start(self) -> None:
        gate = asyncio.Semaphore(CONNECTING)
        self._tasks = [asyncio.create_task(self._run(index, gate)) for index in range(self._count)]
        while self._welcomed < self._count:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, index: int, gate: asyncio.Semaphore) -> None:
        async with aio.insecure_channel(self._address, options=OPTIONS) as channel:
            stub = fleet_pb2_grpc.FleetServiceStub(channel)
            description = fleet_pb2.DeviceDescription(model="scale", kind="replay")
            async with gate:
                request = fleet_pb2.EnrollRequest(
                    join_token=self._token, device_id=f"scale-{index:04d}", description=description
                )
                credential = (await stub.Enroll(request, timeout=60.0)).credential
                call = stub.Connect(metadata=(("authorization", f"Bearer {credential}"),))
                await call.write(fleet_pb2.AgentMessage(hello=fleet_pb2.Hello(description=description)))
                await call.read()
                self._welcomed += 1
            await asyncio.gather(self._beat(call, index), self._serve(call))

    async def _beat(self, call: Any, index: int) -> None:
        await asyncio.sleep(HEARTBEAT_S * index / self._count)
        while True:
            await call.write(fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat()))
            await asyncio.sleep(HEARTBEAT_S)

    async def _serve(self, call: Any) -> None:
        while (message := await call.read()) is not aio.EOF:
            if message.WhichOneof("kind") == "assignment":
                lease = message.assignment.lease
                self.assigned_s[lease.measurement] = time.perf_counter()
                report = fleet_pb2.Report()
                report.CopyFrom(self._report)
                report.lease.CopyFrom(lease)
                await call.write(fleet_pb2.AgentMessage(report=report))
        raise SystemExit("the controller ended a session")


class Client:
    """Asks for jobs at their moments and hears when each is done."""

    def __init__(self, channel: aio.Channel, token: str, file: ModelFile) -> None:
        self._stub = measurement_pb2_grpc.MeasurementServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._request = to_pb(MeasurementRequest("x", (file,), "net.onnx", labels=(("scale", "1"),)))
        self.asked_s: dict[str, float] = {}
        self.done_s: dict[str, float] = {}

    async def run(self, rate_hz: float, span_s: float, drain_s: float) -> None:
        watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0.3)
        begin_s, calls = time.perf_counter(), []
        job_count, asked_count = round(rate_hz * span_s), 0
        while asked_count < job_count:
            due_count = min(job_count, int((time.perf_counter() - begin_s) * rate_hz) + 1)
            if due_count > asked_count:
                moments = {f"s-{index}": begin_s + index / rate_hz for index in range(asked_count, due_count)}
                calls.append(asyncio.create_task(self._ask(moments)))
                asked_count = due_count
            await asyncio.sleep(BATCH_S)
        await asyncio.gather(*calls)
        end_s = time.perf_counter() + drain_s
        while len(self.done_s) < job_count and time.perf_counter() < end_s:
            await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    async def _ask(self, moments_s: dict[str, float]) -> None:
        """In one call what is due; a cycle begins at the job's own moment, the wait for the call included."""
        batch = measurement_pb2.BatchCreateMeasurementsRequest()
        for measurement_id, moment_s in moments_s.items():
            request = batch.requests.add(request=self._request).request
            request.measurement_id = measurement_id
            self.asked_s[f"measurements/{measurement_id}"] = moment_s
        await self._stub.BatchCreateMeasurements(batch, metadata=self._metadata, timeout=120.0)

    async def _watch(self) -> None:
        request = measurement_pb2.WatchMeasurementsRequest(labels={"scale": "1"})
        async for answer in self._stub.WatchMeasurements(request, metadata=self._metadata):
            for one in answer.measurements:
                if one.state == one.DONE:
                    self.done_s[one.name] = time.perf_counter()


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MiB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    rss_kib = int(status.partition("VmRSS:")[2].split()[0])
    return (int(fields[11]) + int(fields[12])) / TICK_HZ, rss_kib / 1024


async def measure(folder: Path, count: int, core: int | None, span_s: float) -> dict[str, tuple[float, str]]:
    controller = Controller(folder, HEARTBEAT_S, LEASE_S)
    if core is not None:
        os.sched_setaffinity(controller.process.pid, {core})
    try:
        with controller.client() as client:
            token = client.create_join_token(use_count=count, ttl_s=3600.0).secret
            artifact = client.put_artifact(stand_in_network("scale/8/1"))
        agents = Agents(controller.address, token, count)
        await agents.start()
        if core is not None:  # threads that were there before the affinity was set
            subprocess.run(
                ["taskset", "-acp", str(core), str(controller.process.pid)], capture_output=True, check=True
            )
        async with aio.insecure_channel(controller.address, options=OPTIONS) as channel:
            file = ModelFile("net.onnx", artifact.sha256, artifact.size_bytes)
            asker = Client(channel, operator_token(controller.data_dir), file)
            cpu_s, own_s, wall_s = usage(controller.process.pid)[0], time.process_time(), time.perf_counter()
            await asker.run(count, span_s, 30.0)
            wall_s = time.perf_counter() - wall_s
            cpu_s = usage(controller.process.pid)[0] - cpu_s
            own_s = time.process_time() - own_s
        memory = usage(controller.process.pid)[1]
        await agents.stop()
    finally:
        controller.kill()
    cycles = sorted(1000.0 * (asker.done_s[one] - asker.asked_s[one]) for one in asker.done_s)
    starts = sorted(1000.0 * (agents.assigned_s[one] - asker.asked_s[one]) for one in asker.done_s)
    return {
        "cycle_p50": (percentile(cycles, 50), "ms"), "cycle_p99": (percentile(cycles, 99), "ms"),
        "dispatch_p50": (percentile(starts, 50), "ms"), "dispatch_p99": (percentile(starts, 99), "ms"),
        "jobs_done": (len(cycles) / len(asker.asked_s), "share"),
        "throughput": (len(cycles) / wall_s, "jobs/s"),
        "controller_cpu": (100.0 * cpu_s / wall_s, "%"), "load_generator_cpu": (100.0 * own_s / wall_s, "%"),
        "controller_memory": (memory, "MiB"),
    }  # fmt: skip


def percentile(values: list[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)] if values else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", default="10,50,100,300,1000", help="sizes of the fleet")
    parser.add_argument("--span-s", type=float, default=10.0, help="how long jobs are asked for")
    parser.add_argument("--controller-core", type=int, help="the one core of the controller")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    asyncio.run(run(args))
    return 0


async def run(args: argparse.Namespace) -> None:
    for count in map(int, args.agents.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            figures = await measure(Path(folder), count, args.controller_core, args.span_s)
        for name, (value, unit) in figures.items():
            line = {
                "name": name, "value": round(value, 2), "unit": unit, "peer": None, "peer_value": None,
                "setting": {"agents": count, "jobs_per_s": count, "span_s": args.span_s},
            }  # fmt: skip
            print(json.dumps(line) if args.json else f"{count} agents: {name} {value:.2f} {unit}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
