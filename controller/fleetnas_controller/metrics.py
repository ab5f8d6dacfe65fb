"""The fleet in numbers, for Prometheus."""

__all__ = ["FleetMetrics", "MetricsEndpoint"]

import ipaddress
from collections import Counter as Counts
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import DeviceState, FaultKind, MeasurementRecord, MeasurementState
from fleetnas_controller.leases import LeaseKey
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, UnavailableError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_DISPATCH_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
_ATTEMPT_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 600.0)
_OPEN = (MeasurementState.QUEUED, MeasurementState.LEASED)


class FleetMetrics:
    """A ``FleetListener`` that counts. Counters begin at zero with each start of the controller.

    Args:
        clock: Seconds since 1970, the fleet's own.

    Raises:
        FailedPreconditionError: prometheus-client is not installed.
    """

    def __init__(self, fleet: Fleet, clock: Callable[[], float]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ModuleNotFoundError as error:
            raise FailedPreconditionError(
                "metrics need the package prometheus-client: pip install 'fleetnas[search]'."
            ) from error
        self._fleet = fleet
        self._clock = clock
        self.registry: CollectorRegistry = CollectorRegistry()

        def made(kind: Callable[..., Any], name: str, text: str, *labels: str, **options: Any) -> Any:
            return kind(f"fleetnas_{name}", text, labels, registry=self.registry, **options)

        self._devices = made(Gauge, "devices", "Devices by state.", "state")
        self._jobs = made(Gauge, "jobs", "Unfinished measurements by state.", "state")
        self._finished = made(Counter, "jobs_finished", "Measurements that ended, by state.", "state")
        self._faults = made(Counter, "faults", "Attempts that ended in a fault, by kind.", "kind")
        self._verdicts = made(Counter, "verdicts", "Accepted results by verdict.", "verdict")
        self._leases = made(Counter, "leases", "Leases granted.")
        self._revoked = made(Counter, "leases_revoked", "Leases that the controller ended early.")
        self._dispatch = made(
            Histogram,
            "dispatch_seconds",
            "From the moment a measurement may run until a device has it.",
            buckets=_DISPATCH_S,
        )
        self._attempts = made(
            Histogram, "attempt_seconds", "From a lease to its accepted result.", buckets=_ATTEMPT_S
        )
        self._touch()
        self.tick()

    def tick(self) -> None:
        """Brings the gauges up to date."""
        devices = Counts(one.state for one in self._fleet.devices.all())
        for state in DeviceState:
            self._devices.labels(state.value).set(devices[state])
        jobs = Counts(one.state for one in self._fleet.unfinished)
        for one in _OPEN:
            self._jobs.labels(one.value).set(jobs[one])

    def assigned(self, record: MeasurementRecord) -> None:
        self._leases.inc()
        # Before its retry time nobody could have had it, so that wait is not the fleet's.
        ready_time = max(record.create_time, record.retry_time)
        self._dispatch.observe(max(0.0, record.lease_time - ready_time))

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        self._revoked.inc()

    def changed(self, record: MeasurementRecord) -> None:
        if record.state.finished:
            self._finished.labels(record.state.value).inc()
        if record.state is MeasurementState.DONE and record.result is not None:
            for one in record.result.batch:
                self._verdicts.labels(one.verdict.value).inc()
            self._attempts.observe(max(0.0, self._clock() - record.lease_time))
        elif record.fault is not None and record.state in (MeasurementState.QUEUED, MeasurementState.FAILED):
            self._faults.labels(record.fault.kind.value).inc()

    def expelled(self, device: str) -> None:
        """The gauge of devices shows it."""

    def silenced(self, device: str, reason: str) -> None:
        """The gauge of devices shows it."""

    def _touch(self) -> None:
        """Every series is there from the start, so that a rate over the first fault is seen."""
        for state in MeasurementState:
            if state.finished:
                self._finished.labels(state.value)
        for kind in FaultKind:
            self._faults.labels(kind.value)


class MetricsEndpoint:
    """Serves ``/metrics`` in a thread of its own.

    Args:
        listen: ``HOST:PORT``; port 0 takes a free one. Loopback only, since HTTP encrypts nothing.

    Raises:
        InvalidArgumentError: ``listen`` is no address.
        FailedPreconditionError: It is no loopback address.
        UnavailableError: The port is in use.
    """

    def __init__(self, registry: "CollectorRegistry", listen: str) -> None:
        from prometheus_client import start_http_server

        host, _, port = listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise InvalidArgumentError(f"'{listen}' is no address: write HOST:PORT, e.g. 127.0.0.1:9464.")
        if not _is_loopback(host.strip("[]")):
            raise FailedPreconditionError(
                f"'{host}' is not a loopback address, and metrics are not encrypted: listen on 127.0.0.1 and let "
                "a proxy with TLS pass them on."
            )
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry)
        except OSError as error:
            raise UnavailableError(
                f"cannot serve metrics on {listen} ({error.strerror}). Choose another --metrics-listen."
            ) from error
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
