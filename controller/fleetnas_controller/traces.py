"""The life of each measurement as OpenTelemetry spans: one for the measurement, one below it for each attempt."""

__all__ = ["FleetTraces", "open_traces"]

from collections.abc import Callable
from typing import TYPE_CHECKING

from fleetnas_controller.jobs import MeasurementRecord, MeasurementState
from fleetnas_controller.leases import LeaseKey
from fleetnas_search_spaces.errors import FailedPreconditionError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_NANOS = 1_000_000_000
_FLUSH_MS = 2_000


class FleetTraces:
    """A ``FleetListener`` that makes spans. What a killed controller had not ended is begun anew by the next."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer
        self._measurements: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}

    def assigned(self, record: MeasurementRecord) -> None:
        """``changed`` said it already."""

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        """The attempt's end says it."""

    def changed(self, record: MeasurementRecord) -> None:
        measurement = self._measurement(record)
        if record.state is MeasurementState.LEASED:
            self._begin_attempt(record, measurement)
            return
        self._end_attempt(record)
        if record.state.finished:
            _describe(measurement, record)
            measurement.end(_nanos(record.update_time))
            del self._measurements[record.name]

    def expelled(self, device: str) -> None:
        """Not about a measurement."""

    def silenced(self, device: str, reason: str) -> None:
        """The lease that runs out ends the span."""

    def _measurement(self, record: MeasurementRecord) -> "Span":
        if record.name not in self._measurements:
            span = self._tracer.start_span("measurement", start_time=_nanos(record.create_time))
            span.set_attribute("fleetnas.job", record.name)
            labels = dict(record.request.labels)
            for key in ("search", "trial", "health_check"):
                if key in labels:
                    span.set_attribute(f"fleetnas.{key}", labels[key])
            self._measurements[record.name] = span
        return self._measurements[record.name]

    def _begin_attempt(self, record: MeasurementRecord, measurement: "Span") -> None:
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(measurement)
        span = self._tracer.start_span("attempt", context, start_time=_nanos(record.lease_time))
        span.set_attribute("fleetnas.job", record.name)
        span.set_attribute("fleetnas.device", record.device)
        span.set_attribute("fleetnas.fencing_token", record.fencing_token)
        self._attempts[record.name] = span

    def _end_attempt(self, record: MeasurementRecord) -> None:
        span = self._attempts.pop(record.name, None)
        if span is not None:
            _describe(span, record)
            span.end(_nanos(record.update_time))


def open_traces() -> tuple[FleetTraces, Callable[[], None]]:
    """Traces that go where the standard OTEL_EXPORTER_OTLP_* variables say, and what ends them.

    Raises:
        FailedPreconditionError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise FailedPreconditionError(
            f"traces need the package '{error.name}': pip install 'fleetnas[otel]'."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "fleetnas-controller"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    def close() -> None:
        provider.force_flush(_FLUSH_MS)
        provider.shutdown()

    return FleetTraces(provider.get_tracer("fleetnas")), close


def _describe(span: "Span", record: MeasurementRecord) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("fleetnas.state", record.state.value)
    if record.result is not None:
        span.set_attribute("fleetnas.verdict", record.result.verdict.value)
    if record.state is not MeasurementState.DONE and record.fault is not None:
        span.set_attribute("fleetnas.fault_kind", record.fault.kind.value)
        span.set_status(StatusCode.ERROR, record.fault.message)


def _nanos(seconds: float) -> int:
    return round(seconds * _NANOS)
