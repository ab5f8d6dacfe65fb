"""Spans of measurements and their attempts."""

from typing import Any

import pytest

from fleetnas_controller.jobs import Fault, FaultKind
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from fleetnas_controller.traces import FleetTraces

World = Any


@pytest.fixture
def exporter(world: World) -> InMemorySpanExporter:
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    world.listener.changed = FleetTraces(provider.get_tracer("test")).changed
    return made


def test_measurement_is_a_span_with_one_below_for_each_attempt(
    world: World, exporter: InMemorySpanExporter, good: Measurement, target: Target
) -> None:
    device = world.join("a")
    world.create(labels=(("search", "run-7"), ("trial", "3")))
    world.pass_time(2, device)
    world.fleet.report(device, world.lease(), Fault(FaultKind.INFRASTRUCTURE, "cable"), None)
    world.pass_time(5, device)
    world.fleet.report(device, world.lease(), good, target)
    first, second, whole = exporter.get_finished_spans()
    assert [one.name for one in (first, second, whole)] == ["attempt", "attempt", "measurement"]
    assert {one.parent.span_id for one in (first, second)} == {whole.context.span_id}
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "cable")
    assert second.attributes["fleetnas.verdict"] == "ok"
    assert second.attributes["fleetnas.device"] == device
    assert (whole.attributes["fleetnas.search"], whole.attributes["fleetnas.trial"]) == ("run-7", "3")
    assert whole.end_time - whole.start_time == 7_000_000_000


def test_cancelled_measurement_ends_its_spans(world: World, exporter: InMemorySpanExporter) -> None:
    world.join("a")
    world.create()
    world.book.cancel("m")
    attempt, whole = exporter.get_finished_spans()
    assert {one.attributes["fleetnas.state"] for one in (attempt, whole)} == {"cancelled"}
