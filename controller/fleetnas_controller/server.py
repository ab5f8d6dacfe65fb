"""The controller as a process: store, fleet and services behind one address."""

__all__ = ["ControllerServer"]

import asyncio
import fcntl
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import grpc.aio as aio

from fleetnas_controller.agent_sessions import AgentSessions
from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.credentials import OPERATOR_BUNDLE_FILE
from fleetnas_controller.enrolment import AttemptLimit, Enrolment, digest_of
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.fleet_store import open_fleet_store
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.health import HealthSettings
from fleetnas_controller.health_monitor import HealthMonitor
from fleetnas_controller.health_store import SqliteHealthStore
from fleetnas_controller.introspection import add_health_and_reflection
from fleetnas_controller.latency_answers import LatencyBook
from fleetnas_controller.listeners import Listeners
from fleetnas_controller.listening import Tls, parse_address
from fleetnas_controller.logs import FleetLog
from fleetnas_controller.measurements import MeasurementBook
from fleetnas_controller.metrics import FleetMetrics, MetricsEndpoint
from fleetnas_controller.operator import operator_token
from fleetnas_controller.pages.settings import PageSettings
from fleetnas_controller.retries import FleetSettings
from fleetnas_controller.search_runner import SearchRunner
from fleetnas_controller.search_store import SqliteSearchStore
from fleetnas_controller.searches import SearchBook
from fleetnas_controller.servicers.access_servicer import AccessServicer
from fleetnas_controller.servicers.artifact_servicer import ArtifactServicer
from fleetnas_controller.servicers.calls import Access, StreamLimit
from fleetnas_controller.servicers.device_servicer import DeviceServicer
from fleetnas_controller.servicers.fleet_servicer import FleetServicer
from fleetnas_controller.servicers.latency_servicer import LatencyServicer
from fleetnas_controller.servicers.measurement_servicer import MeasurementServicer
from fleetnas_controller.servicers.search_servicer import SearchServicer
from fleetnas_controller.sessions import SessionHub
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.traces import open_traces
from fleetnas_protos.v1 import (
    access_pb2_grpc,
    artifact_pb2_grpc,
    device_pb2_grpc,
    fleet_pb2_grpc,
    latency_pb2_grpc,
    measurement_pb2_grpc,
    search_pb2_grpc,
)
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
    UnavailableError,
)

if TYPE_CHECKING:
    from fleetnas_controller.encryption import Encryption
    from fleetnas_controller.pages.serving import PageServer

_log = logging.getLogger(__name__)
_STORE_FILE = "store.db"
_LOCK_FILE = "controller.lock"
_TICK_S = 0.25
_STOP_GRACE_S = 1.0
_MAX_MESSAGE_BYTES = 64 << 20

_OPTIONS = (
    # Without this a second controller would share the port and get half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Beyond the streams that last (`StreamLimit`) there are calls under way; more of them wait on the client.
    ("grpc.max_concurrent_streams", 2048),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class ControllerServer:
    """Serves one data folder. Start and stop it on one event loop.

    Args:
        listen: ``HOST:PORT``; port 0 takes a free one.
        tls: Whether to encrypt; AUTO does so on every address but a loopback one.
        enroll_port: Where agents join an encrypted fleet; 0 takes a free one.
        health: None: devices are checked only when an operator asks.
        metrics_listen: ``HOST:PORT`` of Prometheus metrics over plain HTTP; empty for none.
        patience_s: How long a peer that connected may say nothing.
        pages: Serve pages for phones there; None for none.
        traced: Send OpenTelemetry spans where the standard OTEL_EXPORTER_OTLP_* variables say.
        enduring: Go on when the disk is full, until there is space again; else whoever waits for a measurement hears
            of it.

    Raises:
        FailedPreconditionError: Plain text on an address that others can reach, another controller serves the
            folder, or the package for encryption is missing.
        DataLossError, ResourceExhaustedError, UnavailableError: The store cannot be used.
    """

    def __init__(
        self,
        data_dir: Path,
        listen: str,
        *,
        tls: Tls = Tls.AUTO,
        enroll_port: int = 0,
        settings: FleetSettings | None = None,
        health: HealthSettings | None = None,
        metrics_listen: str = "",
        pages: PageSettings | None = None,
        traced: bool = False,
        enduring: bool = True,
        clock: Callable[[], float] = time.time,
        patience_s: float = 10.0,
    ) -> None:
        self._address = parse_address(listen)
        self._enduring = enduring
        encrypted = self._address.encrypted(tls)
        self.enroll_port = parse_address(f"{self._address.host}:{enroll_port}").port
        settings = settings or FleetSettings()
        with storage_errors(data_dir):
            data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(data_dir)
        try:
            with storage_errors(data_dir):
                token = operator_token(data_dir)
                artifacts = ArtifactFolder(data_dir / "artifacts")
                self._encryption = _encryption(data_dir, clock) if encrypted else None
            self._store = open_fleet_store(data_dir / _STORE_FILE)
        except BaseException:
            self._lock.close()
            raise
        if self._encryption is not None:
            self._encryption.admit_local_operator(self._store)
        else:
            (data_dir / OPERATOR_BUNDLE_FILE).unlink(missing_ok=True)
        self._hub = SessionHub()
        self._enrolment = Enrolment(self._store, clock, lambda: secrets.token_urlsafe(32))
        listeners = Listeners(self._hub)
        self._fleet = Fleet(self._store, self._enrolment, clock, listeners, settings)
        self._health = HealthMonitor(
            self._fleet,
            self._store,
            SqliteHealthStore(self._store.database, str(data_dir / _STORE_FILE)),
            artifacts,
            clock,
            health or HealthSettings(automatic=False),
        )
        listeners.add(self._health)
        listeners.add(FleetLog())
        self._end_traces: Callable[[], None] = lambda: None
        if traced:
            traces, self._end_traces = open_traces()
            listeners.add(traces)
        self._metrics: FleetMetrics | None = None
        self._metrics_listen = metrics_listen
        self._endpoint: MetricsEndpoint | None = None
        if metrics_listen:
            self._metrics = FleetMetrics(self._fleet, clock)
            listeners.add(self._metrics)
        authority = self._encryption.authority if self._encryption else None
        grants = GrantBook(self._store, authority, clock)
        access = Access(self._enrolment, grants, digest_of(token))
        book = MeasurementBook(self._fleet, self._store, artifacts, clock)
        streams = StreamLimit()
        patience = (("grpc.server_handshake_timeout_ms", round(patience_s * 1000)),)
        self._server = aio.server(options=(*_OPTIONS, *patience))
        fleet_pb2_grpc.add_FleetServiceServicer_to_server(
            FleetServicer(
                self._fleet, self._hub, access, grants, settings, AttemptLimit(clock), streams, patience_s
            ),
            self._server,
        )
        self.pages_address = ""
        """Address of the page once started; empty without."""
        self._pages: PageServer | None = None
        if pages is not None:
            sessions = AgentSessions(self._fleet, self._hub, settings, patience_s)
            self._pages = _page_server(
                pages, data_dir, self._fleet, self._enrolment, artifacts, sessions, clock
            )
        page_link = self._pages.gateway.link if self._pages is not None else None
        device_pb2_grpc.add_DeviceServiceServicer_to_server(
            DeviceServicer(self._fleet, self._enrolment, access, self._health, self._join_text, page_link),
            self._server,
        )
        measurement_pb2_grpc.add_MeasurementServiceServicer_to_server(
            MeasurementServicer(book, self._hub, access, streams), self._server
        )
        artifact_pb2_grpc.add_ArtifactServiceServicer_to_server(
            ArtifactServicer(artifacts, self._fleet, access), self._server
        )
        access_pb2_grpc.add_AccessServiceServicer_to_server(AccessServicer(grants, access), self._server)
        runs_dir = data_dir / "runs"
        self._runner = SearchRunner(runs_dir, data_dir)
        search_store = SqliteSearchStore(self._store.database, str(data_dir / _STORE_FILE))
        self._searches = SearchBook(search_store, self._runner, runs_dir, clock)
        search_pb2_grpc.add_SearchServiceServicer_to_server(
            SearchServicer(self._searches, access), self._server
        )
        latency_pb2_grpc.add_LatencyServiceServicer_to_server(
            LatencyServicer(LatencyBook(runs_dir / "latency.db"), access), self._server
        )
        add_health_and_reflection(self._server)

    @property
    def encrypted(self) -> bool:
        return self._encryption is not None

    async def start(self) -> str:
        """Begins to serve.

        Returns:
            The address that clients use.

        Raises:
            UnavailableError: The port is in use.
        """
        encryption = self._encryption
        if encryption is None:
            port = self._bound(str(self._address), self._server.add_insecure_port)
        else:
            session, enrolling = encryption.session_credentials(), encryption.enrolling_credentials()
            port = self._bound(str(self._address), lambda where: self._server.add_secure_port(where, session))
            self.enroll_port = self._bound(
                f"{self._address.host}:{self.enroll_port}",
                lambda where: self._server.add_secure_port(where, enrolling),
            )
        if self._metrics is not None:
            self._endpoint = MetricsEndpoint(self._metrics.registry, self._metrics_listen)
        await self._server.start()
        if self._pages is not None:
            self.pages_address = await self._pages.gateway.start()
        self._ticking = asyncio.create_task(self._tick())
        address = f"{self._address.host}:{port}"
        self._runner.begin(address, self._searches.started, self._searches.ended)
        return address

    @property
    def failure(self) -> FleetNASError | None:
        """Why the store could not keep something; None while it keeps everything."""
        return self._store.failure

    @property
    def metrics_address(self) -> str:
        """``HOST:PORT`` of the metrics once started; empty without."""
        return self._endpoint.address if self._endpoint is not None else ""

    async def stop(self) -> None:
        """Ends sessions and calls; what is stored stays."""
        self._ticking.cancel()
        if self._endpoint is not None:
            self._endpoint.close()
        await self._runner.stop()
        self._hub.end_all(UnavailableError("the controller stops. Connect again when it is back."))
        if self._pages is not None:
            await self._pages.gateway.close()
        await self._server.stop(_STOP_GRACE_S)
        await asyncio.to_thread(self._end_traces)
        self._store.close()
        self._lock.close()

    async def serve_until_stopped(self) -> None:
        """Returns when the server was stopped; raises what broke the clock of the fleet, if that did."""
        stopped = asyncio.create_task(self._server.wait_for_termination())
        done, _ = await asyncio.wait({stopped, self._ticking}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    def _join_text(self, secret: str) -> str:
        return secret if self._encryption is None else self._encryption.join_text(self.enroll_port)(secret)

    def _bound(self, where: str, add: Callable[[str], int]) -> int:
        try:
            return add(where)
        except RuntimeError as error:
            raise UnavailableError(
                f"cannot listen on {where}: the port is in use or not allowed. Choose another with --listen or "
                "--enroll-port."
            ) from error

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._fleet.tick()
                self._health.tick()
                if self._metrics is not None:
                    self._metrics.tick()
                if self._pages is not None:
                    self._pages.tick()
            except FleetNASError as error:
                # E.g. a full disk: nothing has changed, so the next tick may try again.
                _log.error("the fleet's clock was held up: %s", error)
            if self.failure is not None and not self._enduring:
                self._hub.end_watches(self.failure)


def _page_server(*parts: Any) -> "PageServer":
    try:
        from fleetnas_controller.pages.serving import PageServer
    except ImportError as error:
        raise FailedPreconditionError(
            "pages need the package 'aiohttp': pip install 'fleetnas[pages]'."
        ) from error
    return PageServer(*parts)


def _encryption(data_dir: Path, clock: Callable[[], float]) -> "Encryption":
    try:
        from fleetnas_controller.encryption import Encryption
    except ImportError as error:
        raise FailedPreconditionError(
            "an encrypted fleet needs the package 'cryptography': pip install 'fleetnas[tls]'."
        ) from error
    return Encryption(data_dir, clock)


def _locked(data_dir: Path) -> IO[bytes]:
    """Holds the folder for this process; the system lets go when the process ends, however it does."""
    file = (data_dir / _LOCK_FILE).open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise FailedPreconditionError(
            f"another controller serves '{data_dir}'. Stop it first, or choose another folder."
        ) from None
    return file
