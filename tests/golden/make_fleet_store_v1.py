"""Makes fleet_store_v1.db, a fleet's store of the first schema.

    python tests/golden/make_fleet_store_v1.py tests/golden/fleet_store_v1.db

Run once per schema, with the version that wrote it; the file is then never made again.
"""

import sys
from pathlib import Path

from fleetnas_controller.fleet_store import open_fleet_store
from fleetnas_controller.jobs import (
    Device,
    DeviceState,
    Fault,
    FaultKind,
    JoinToken,
    Limits,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, judge
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target

TARGET = Target("golden board", "onnxruntime", "1.0", core_set="0", statistic="cpu_p10", stand_in="replay")
FILE = ModelFile("net.onnx", "0" * 64, 1234)


def request(measurement_id: str) -> MeasurementRequest:
    return MeasurementRequest(
        measurement_id,
        (FILE,),
        "net.onnx",
        plan=Plan(statistic=Statistic.CPU_P10),
        selector=Selector(model="golden board", labels=(("rack", "2"),)),
        priority=3,
        limits=Limits(60.0, 10.0, 30.0),
        labels=(("search", "golden"),),
    )


def main(path: Path) -> None:
    store = open_fleet_store(path)
    device = Device(
        "devices/a", "golden board", "replay", (TARGET,), DeviceState.OFFLINE, 100.0, (("rack", "2"),)
    )
    store.enrol_device(device, "credential-sha256")
    store.put_join_token("token-sha256", JoinToken("", "a", 2, 5_000_000_000.0))
    runs = (1.0, 1.25, 0.75) * 20
    series = RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(index // 6 for index in range(60)))
    result = judge(RawMeasurement(candidate=series), Plan(), Evidence((("governor", "performance"),), (1.0,)))
    for record in (
        MeasurementRecord(
            "measurements/done", request("done"), MeasurementState.DONE, 101.0, 104.0, attempt_count=2, crash_count=1,
            device="devices/a", fencing_token=2, lease_time=103.0, target=TARGET, result=result,
            fault=Fault(FaultKind.CRASH, "signal 11"),
        ),
        MeasurementRecord(
            "measurements/failed", request("failed"), MeasurementState.FAILED, 102.0, 105.0,
            fault=Fault(FaultKind.MODEL, "no such operator"),
        ),
        MeasurementRecord(
            "measurements/leased", request("leased"), MeasurementState.LEASED, 103.0, 106.0, attempt_count=1,
            device="devices/a", fencing_token=3, lease_time=106.0, expire_time=116.0,
        ),
        MeasurementRecord("measurements/queued", request("queued"), MeasurementState.QUEUED, 104.0, 104.0),
    ):  # fmt: skip
        store.put_measurement(record)
    for token, name in ((1, "done"), (2, "done"), (3, "leased")):
        store.put_lease("devices/a", token, f"measurements/{name}", 100.0 + token)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
