"""A fleet in memory on a clock that only tests move."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlite_utils import Database

from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.enrolment import Enrolment
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.fleet_store import FleetStore, SqliteFleetStore
from fleetnas_controller.jobs import (
    Artifact,
    MeasurementRecord,
    MeasurementRequest,
    ModelFile,
    Selector,
)
from fleetnas_controller.leases import LeaseKey
from fleetnas_controller.measurements import MeasurementBook
from fleetnas_controller.retries import FleetSettings
from fleetnas_latency.measurement import (
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    RunSeries,
    StopReason,
    judge,
)
from fleetnas_latency.target import Target

CONTENT = b"a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TARGET = Target("board", "onnxruntime", "1.0")
SETTINGS = FleetSettings(lease_s=10.0, retry_base_s=2.0, attempt_limit=3, total_grace_s=5.0)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Listener:
    """Remembers what the fleet said."""

    assignments: list[MeasurementRecord] = field(default_factory=list)
    revocations: list[tuple[str, LeaseKey]] = field(default_factory=list)
    changes: list[MeasurementRecord] = field(default_factory=list)
    expulsions: list[str] = field(default_factory=list)
    silences: list[str] = field(default_factory=list)

    def assigned(self, record: MeasurementRecord) -> None:
        self.assignments.append(record)

    def revoked(self, device: str, lease: LeaseKey, reason: str) -> None:
        self.revocations.append((device, lease))

    def changed(self, record: MeasurementRecord) -> None:
        self.changes.append(record)

    def expelled(self, device: str) -> None:
        self.expulsions.append(device)

    def silenced(self, device: str, reason: str) -> None:
        self.silences.append(device)


class World:
    """A controller without a network; ``restart`` is what a kill and a new start leave."""

    def __init__(self, folder: Path, store: FleetStore, settings: FleetSettings) -> None:
        self.clock = Clock()
        self.store = store
        self.settings = settings
        # Goes on over restarts, for no secret ever comes twice.
        self._secret_numbers = count()
        self.artifacts = ArtifactFolder(folder / "artifacts")
        with self.artifacts.writer(Artifact(SHA256, len(CONTENT))) as writer:
            writer.write(CONTENT)
        self.restart()

    def restart(self) -> None:
        self.listener = Listener()
        self.enrolment = Enrolment(self.store, self.clock, lambda: f"secret-{next(self._secret_numbers)}")
        self.fleet = Fleet(self.store, self.enrolment, self.clock, self.listener, self.settings)
        self.book = MeasurementBook(self.fleet, self.store, self.artifacts, self.clock)

    def enrol(self, device_id: str = "a") -> str:
        """Returns the credential."""
        token = self.enrolment.create_token(device_id)
        return self.fleet.enrol(token.secret, device_id, description())[1].sha256

    def join(self, device_id: str = "a") -> str:
        """An enrolled, connected device; returns its name."""
        self.enrol(device_id)
        self.fleet.connect(f"devices/{device_id}", description(), [])
        return f"devices/{device_id}"

    def create(self, measurement_id: str = "m", **fields: object) -> MeasurementRecord:
        return self.book.create(request(measurement_id, **fields))

    def lease(self, measurement_id: str = "m") -> LeaseKey:
        """The current lease of a measurement."""
        record = self.book.get(measurement_id)
        return LeaseKey(record.name, record.fencing_token)

    def pass_time(self, seconds: float, *alive: str) -> None:
        """Moves the clock in steps of a second; devices in ``alive`` send heartbeats with what they hold."""
        for _ in range(round(seconds)):
            self.clock.now += 1.0
            for device in alive:
                holder = self.fleet.devices.get(device).holder
                held = [self.lease(holder)] if holder else []
                self.fleet.heartbeat(device, held)
            self.fleet.tick()


def description(**labels: str) -> DeviceDescription:
    return DeviceDescription("board", "host", (TARGET,), tuple(sorted(labels.items())), batches=True)


def request(measurement_id: str = "m", **fields: object) -> MeasurementRequest:
    one = {"files": (ModelFile("net.onnx", SHA256, len(CONTENT)),)}
    return MeasurementRequest(measurement_id, entry_file="net.onnx", **(one | fields))  # type: ignore[arg-type]


def batch_fields(*names: str) -> dict[str, object]:
    """What makes a request one for ``net.onnx`` and these files in turns."""
    names = names or ("b.onnx",)
    files = tuple(ModelFile(name, SHA256, len(CONTENT)) for name in ("net.onnx", *names))
    plan = Plan(max_run_count=40_000 // len(files))
    return {"files": files, "companion_files": names, "selector": Selector(batches=True), "plan": plan}


@pytest.fixture
def settings() -> FleetSettings:
    return SETTINGS


@pytest.fixture
def store() -> Iterator[SqliteFleetStore]:
    made = SqliteFleetStore(Database(memory=True))
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, store: SqliteFleetStore, settings: FleetSettings) -> World:
    return World(tmp_path, store, settings)


@pytest.fixture
def make_fleet_world() -> Callable[[Path, FleetStore], World]:
    """For tests that need a world for each of their examples."""
    return lambda folder, store: World(folder, store, SETTINGS)


@pytest.fixture
def make_request() -> Callable[..., MeasurementRequest]:
    return request


@pytest.fixture
def batch() -> Callable[..., dict[str, object]]:
    """Fields of a request for several networks in turns; see ``batch_fields``."""
    return batch_fields


@pytest.fixture
def target() -> Target:
    return TARGET


@pytest.fixture
def good() -> Measurement:
    """A result whose verdict is ``ok``."""
    return measurement(StopReason.CONVERGED)


@pytest.fixture
def bad() -> Measurement:
    """A result that did not converge."""
    return measurement(StopReason.DURATION_CAP)


def measurement(stop_reason: StopReason) -> Measurement:
    runs = (1.0, 1.001, 0.999) * 20
    series = RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(index // 6 for index in range(len(runs))))
    return judge(RawMeasurement(candidate=series, stop_reason=stop_reason), Plan(), Evidence())
