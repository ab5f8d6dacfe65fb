"""The checker of the load benchmark finds each promise that is broken: it must not be blind."""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.fleet_store import open_fleet_store
from fleetnas_controller.jobs import Fault, FaultKind, MeasurementRecord, MeasurementRequest, MeasurementState
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries, StopReason, judge

Check = Callable[..., tuple[str, ...]]
RUNS = (1.0, 1.001, 0.999) * 20
SERIES = RunSeries(wall_ms=RUNS, cpu_ms=RUNS, rounds=tuple(index // 6 for index in range(60)))
RESULT = judge(RawMeasurement(candidate=SERIES), Plan(), Evidence())
DONE = MeasurementRecord(
    "measurements/m", MeasurementRequest("m", (), ""), MeasurementState.DONE, 1.0, 2.0,
    attempt_count=1, device="devices/a", fencing_token=1, result=RESULT,
)  # fmt: skip


def event(
    name: str, token: int = 1, device: str = "a", measurement: str = "m", detail: str = ""
) -> dict[str, Any]:
    return {
        "time": 1.0, "device": f"devices/{device}", "event": name, "measurement": f"measurements/{measurement}",
        "fencing_token": token, "detail": detail,
    }  # fmt: skip


GOOD = [event("assigned"), event("begin"), event("end"), event("sent", detail="result"), event("accepted")]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    path = Path(__file__).parents[2] / "benchmarks" / "fleet_check.py"
    spec = importlib.util.spec_from_file_location("fleet_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fleet_check"] = module
    spec.loader.exec_module(module)

    def run(events: list[dict[str, Any]], *records: MeasurementRecord, leases: int = 1) -> tuple[str, ...]:
        store = open_fleet_store(tmp_path / "store.db")
        for record in records:
            store.put_measurement(record)
        for token in range(1, leases + 1):
            store.put_lease("devices/a", token, "measurements/m", float(token))
        store.close()
        (tmp_path / "trace").write_text("".join(json.dumps(one) + "\n" for one in events))
        found: tuple[str, ...] = module.check(tmp_path / "store.db", tmp_path / "trace", ["m"]).broken
        return found

    return run


def test_sound_run_has_nothing_broken(check: Check) -> None:
    assert check(GOOD, DONE) == ()


def test_lost_measurement_is_found(check: Check) -> None:
    other = replace(DONE, name="measurements/other", attempt_count=0)
    broken = check([event("sent", measurement="other", detail="result")], other, leases=0)
    assert "measurements/m was acknowledged and is lost" in broken


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (replace(DONE, state=MeasurementState.LEASED, result=None), "is still leased"),
        (replace(DONE, result=None), "has no result"),
        (replace(DONE, state=MeasurementState.FAILED, result=None), "failed without a typed fault"),
        (
            replace(
                DONE, state=MeasurementState.FAILED, result=None, fault=Fault(FaultKind.MODEL, "refused")
            ),
            "accepted was",
        ),
        (replace(DONE, attempt_count=2), "counts 2 attempts and had 1 leases"),
        (replace(DONE, device="devices/b"), "devices/b, which never sent a result"),
    ],
)
def test_record_that_does_not_fit_is_found(check: Check, record: MeasurementRecord, says: str) -> None:
    assert any(says in one for one in check(GOOD, record))


@pytest.mark.parametrize(("stop", "broken"), [(StopReason.CONVERGED, 0), (StopReason.DURATION_CAP, 1)])
def test_result_under_an_ended_lease_has_to_be_good(check: Check, stop: StopReason, broken: int) -> None:
    result = judge(RawMeasurement(candidate=SERIES, stop_reason=stop), Plan(), Evidence())
    found = check(GOOD, replace(DONE, attempt_count=2, result=result), leases=2)
    assert found == ("measurements/m has a result under an ended lease that is not good",) * broken


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([event("begin", 2), event("begin", 3)], "ran measurements/m and measurements/m at once"),
        ([event("accepted")], "was accepted 2 times"),
        ([event("accepted", 9)], "was believed under token 9, which it never had"),
        ([event("assigned", 9)], "under a lease that is not stored"),
        ([event("sent", 2, detail="result"), event("accepted", 2)], "has 2 accepted results"),
    ],
)
def test_event_that_breaks_a_promise_is_found(check: Check, more: list[dict[str, Any]], says: str) -> None:
    assert any(says in one for one in check([*GOOD, *more], DONE))
