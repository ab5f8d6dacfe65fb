"""What the fleet counts, and what its log says."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from fleetnas_controller.jobs import Fault, FaultKind, Limits
from fleetnas_controller.logs import FleetLog
from fleetnas_controller.metrics import FleetMetrics, MetricsEndpoint
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, UnavailableError

World = Any
Value = Callable[..., float | None]


@pytest.fixture
def metrics(world: World) -> FleetMetrics:
    made = FleetMetrics(world.fleet, world.clock)
    for name in ("assigned", "revoked", "changed", "expelled"):
        _also(world.listener, name, getattr(made, name))
    return made


def _also(listener: Any, name: str, heard: Callable[..., None]) -> None:
    first = getattr(listener, name)

    def both(*arguments: Any) -> None:
        first(*arguments)
        heard(*arguments)

    setattr(listener, name, both)


@pytest.fixture
def value(metrics: FleetMetrics) -> Value:
    def read(name: str, **labels: str) -> float | None:
        metrics.tick()
        found = metrics.registry.get_sample_value(f"fleetnas_{name}", labels)
        return None if found is None else float(found)

    return read


def test_devices_and_jobs_are_counted_by_state(world: World, value: Value) -> None:
    world.enrol("b")
    world.join("a")
    world.create("m1")
    world.create("m2")
    assert (value("devices", state="online"), value("devices", state="offline")) == (1.0, 1.0)
    assert (value("jobs", state="leased"), value("jobs", state="queued")) == (1.0, 1.0)


def test_ends_leases_and_verdicts_are_counted(
    world: World, value: Value, good: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create("m1")
    world.create("m2")
    world.clock.now += 3.0
    world.fleet.report(device, world.lease("m1"), good, target)
    assert value("jobs_finished_total", state="done") == 1.0
    assert value("verdicts_total", verdict="ok") == 1.0
    assert value("leases_total") == 2.0
    assert value("attempt_seconds_sum") == 3.0
    assert (value("dispatch_seconds_count"), value("dispatch_seconds_sum")) == (2.0, 3.0)


def test_wait_for_a_retry_is_not_the_fleets(world: World, value: Value) -> None:
    device = world.join("a")
    world.create()
    world.fleet.report(device, world.lease(), Fault(FaultKind.INFRASTRUCTURE, "cable"), None)
    world.pass_time(2, device)
    assert value("dispatch_seconds_count") == 2.0
    assert value("dispatch_seconds_sum") == 0.0


def test_faults_are_counted_by_kind_from_zero(world: World, value: Value) -> None:
    assert value("faults_total", kind="crash") == 0.0
    device = world.join("a")
    world.create()
    world.fleet.report(device, world.lease(), Fault(FaultKind.CRASH, "signal 11"), None)
    assert value("faults_total", kind="crash") == 1.0
    world.fleet.set_drained(device, True)
    world.create("none", limits=Limits(device_s=5.0))
    world.pass_time(6)
    assert value("faults_total", kind="infrastructure") == 1.0
    assert value("jobs_finished_total", state="failed") == 1.0


def test_revoked_leases_are_counted(world: World, value: Value) -> None:
    world.join("a")
    world.create()
    world.book.cancel("m")
    assert value("leases_revoked_total") == 1.0
    assert value("jobs_finished_total", state="cancelled") == 1.0


def test_port_of_metrics_that_is_taken_is_named(metrics: FleetMetrics) -> None:
    first = MetricsEndpoint(metrics.registry, "127.0.0.1:0")
    try:
        with pytest.raises(UnavailableError, match="--metrics-listen"):
            MetricsEndpoint(metrics.registry, first.address)
    finally:
        first.close()


def test_metrics_stay_on_this_machine(metrics: FleetMetrics) -> None:
    with pytest.raises(FailedPreconditionError, match="not a loopback"):
        MetricsEndpoint(metrics.registry, "0.0.0.0:9464")
    with pytest.raises(InvalidArgumentError, match="HOST:PORT"):
        MetricsEndpoint(metrics.registry, "9464")


def test_log_names_job_device_search_and_trial(
    world: World, good: Measurement, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    log = FleetLog()
    for name in ("changed", "revoked", "expelled"):
        _also(world.listener, name, getattr(log, name))
    with caplog.at_level(logging.INFO, "fleetnas.fleet"):
        device = world.join("a")
        world.create(labels=(("search", "run-7"), ("trial", "3")))
        world.fleet.report(device, world.lease(), Fault(FaultKind.CRASH, "signal 11"), None)
        world.pass_time(3, device)
        world.fleet.report(device, world.lease(), good, target)
    jobs = [vars(one) for one in caplog.records if vars(one)["event"] == "job"]
    assert [one["state"] for one in jobs] == ["queued", "leased", "queued", "leased", "done"]
    assert {one["job"] for one in jobs} == {"measurements/m"}
    assert {(one["search"], one["trial"]) for one in jobs} == {("run-7", "3")}
    assert (jobs[1]["device"], jobs[1]["attempt"]) == (device, 1)
    assert (jobs[2]["levelname"], jobs[2]["fault_kind"]) == ("WARNING", "crash")
    assert jobs[-1]["verdict"] == "ok"
