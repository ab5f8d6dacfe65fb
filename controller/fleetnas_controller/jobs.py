"""What the fleet is asked to do, what became of it, and on which device. Data only."""

__all__ = [
    "MAX_PRIORITY",
    "Artifact",
    "Device",
    "DeviceState",
    "Fault",
    "FaultKind",
    "Grant",
    "JoinToken",
    "Limits",
    "MeasurementRecord",
    "MeasurementRequest",
    "MeasurementState",
    "ModelFile",
    "Page",
    "Role",
    "Selector",
    "device_name",
    "grant_name",
    "measurement_name",
]

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from fleetnas_latency.measurement import Measurement, Plan
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError

MAX_PRIORITY = 1_000_000
"""Of a client's measurement; the controller's own checks go above it."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
Item = TypeVar("Item")


class MeasurementState(StrEnum):
    """QUEUED <-> LEASED -> DONE | FAILED; CANCELLED from the first two."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in (MeasurementState.DONE, MeasurementState.FAILED, MeasurementState.CANCELLED)


class DeviceState(StrEnum):
    """ONLINE takes work; DRAINING finishes what it holds and takes no more; OFFLINE has not been heard.

    QUARANTINED failed its health checks, COOLING rests before one is repeated: both take health checks only.
    """

    ONLINE = "online"
    OFFLINE = "offline"
    DRAINING = "draining"
    QUARANTINED = "quarantined"
    COOLING = "cooling"


class FaultKind(StrEnum):
    """Who is to blame, which decides whether trying again can help.

    INFRASTRUCTURE faults are retried on any matching device. A CRASH (the runtime died or hung on the file) is
    retried once, and a second one makes it a MODEL fault. MODEL faults are never retried. UNSOUND is a result that
    nothing can have measured: retried as INFRASTRUCTURE faults are, and held against the device.
    """

    INFRASTRUCTURE = "infrastructure"
    CRASH = "crash"
    MODEL = "model"
    UNSOUND = "unsound"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt gave no measurement, in one line.

    Attributes:
        file: Path of the network of a batch that is to blame; empty where that is unknown or it is the only one.
    """

    kind: FaultKind
    message: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored file, named by the lower-case hexadecimal SHA-256 of its content."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model.

    Attributes:
        path: Where the runtime finds it, relative, with forward slashes (``"weights.bin"``).
    """

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Selector:
    """Which devices will do; an empty field accepts every device.

    Attributes:
        device: A device's id or name (``"host"`` or ``"devices/host"``).
        model, kind, runtime: Equal to the device's own, e.g. ``"rk3288"``, ``"ssh"``, ``"onnxruntime"``.
        labels: Each has to be on the device with this value.
        batches: Whether it has to measure several networks in turns.
    """

    device: str = ""
    model: str = ""
    kind: str = ""
    runtime: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    batches: bool = False

    def matches(self, device: "Device") -> bool:
        return (
            self.device in ("", device.name, device.device_id)
            and self.model in ("", device.model)
            and self.kind in ("", device.kind)
            and (not self.runtime or any(self.runtime == target.runtime for target in device.targets))
            and set(self.labels) <= set(device.labels)
            and (device.batches or not self.batches)
        )

    def __str__(self) -> str:
        pairs = [
            ("batches", "yes" if self.batches else ""),
            ("device", self.device),
            ("model", self.model),
            ("kind", self.kind),
            ("runtime", self.runtime),
        ]
        return " ".join(f"{name}={value}" for name, value in [*pairs, *self.labels] if value) or "any device"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take; every one ends in a typed fault.

    Attributes:
        device_s: Each wait in the queue, after creation or a fault, until a device takes it.
        silence_s: Without a sign of progress from the runtime.
        total_s: One attempt, from the lease to the result; waiting for a device does not count.
    """

    device_s: float = 600.0
    silence_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class MeasurementRequest:
    """One network to be measured once, or several that take turns in one lease.

    Attributes:
        measurement_id: Chosen by the client; asking twice with the same id and content is asking once.
        files: Every file of the networks and of the anchor; uploaded before (``FleetClient.put_artifact``).
        entry_file: Path of the candidate among ``files``.
        anchor_entry_file: Path of the anchor among ``files``; empty for a measurement without one.
        priority: Higher goes first; equal ones go by age.
        labels: The client's own, e.g. ``(("search", "run-7"),)``; ``WatchMeasurements`` filters by them.
        companion_files: Paths of further networks among ``files``, at most 19; their results are the
            ``companions`` of the candidate's.
        profile: Whether to tell what each operator takes, where the runtime can.
    """

    measurement_id: str
    files: tuple[ModelFile, ...]
    entry_file: str
    anchor_entry_file: str = ""
    plan: Plan = field(default_factory=Plan)
    selector: Selector = field(default_factory=Selector)
    priority: int = 0
    limits: Limits = field(default_factory=Limits)
    labels: tuple[tuple[str, str], ...] = ()
    companion_files: tuple[str, ...] = ()
    profile: bool = False


@dataclass(frozen=True, slots=True)
class MeasurementRecord:
    """A request and where it stands. Times are seconds since 1970, 0 when not applicable.

    Attributes:
        name: ``measurements/{measurement_id}``.
        queue_position: 1 for the next one to go among those queued; 0 when it is not queued.
        attempt_count: Leases so far.
        crash_count: Attempts in which the runtime crashed or hung.
        device: The holder while leased, the one that measured when done.
        fencing_token: Of the latest lease, of the lease that gave the result when done; grows with each lease of
            a device.
        retry_time: Not leased again before.
        target: What the result is a latency of.
        fault: The latest; still there on a measurement that is queued again or was done in the end.
    """

    name: str
    request: MeasurementRequest
    state: MeasurementState
    create_time: float
    update_time: float
    queue_position: int = 0
    attempt_count: int = 0
    crash_count: int = 0
    device: str = ""
    fencing_token: int = 0
    lease_time: float = 0.0
    expire_time: float = 0.0
    retry_time: float = 0.0
    target: Target | None = None
    result: Measurement | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the fleet. Times are seconds since 1970, 0 when never.

    Attributes:
        name: ``devices/{device_id}``.
        model: E.g. ``"rk3288"``; for the host the CPU's own model name.
        kind: The driver that reaches it, e.g. ``"host"``.
        targets: What it can measure.
        reason: Why it is in this state; empty when online.
        drained: An operator asked for no more work on it.
        holder: Name of the measurement that holds it; empty when free.
        expire_time: When that lease ends unless the agent renews it.
        fencing_token: Of its latest lease.
        quarantine_reason, cooling_reason: Why health checks keep it from work; empty when they do not.
        queue_count: Queued measurements that it could take; counted when shown, not stored.
        batches: Whether it measures several networks in turns.
    """

    name: str
    model: str
    kind: str
    targets: tuple[Target, ...]
    state: DeviceState
    create_time: float
    labels: tuple[tuple[str, str], ...] = ()
    seen_time: float = 0.0
    reason: str = ""
    drained: bool = False
    holder: str = ""
    expire_time: float = 0.0
    fencing_token: int = 0
    quarantine_reason: str = ""
    cooling_reason: str = ""
    queue_count: int = 0
    batches: bool = False

    @property
    def device_id(self) -> str:
        return self.name.removeprefix("devices/")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """Permission to enrol.

    Attributes:
        secret: Shown once, at creation; the store keeps its SHA-256 only.
        device_id: The only device it can enrol, again and again; empty for any new one.
        use_count: Enrolments left.
        expire_time: Seconds since 1970.
        page_url: What a browser opens to enrol, with the secret in it; shown at creation only, like that.
    """

    secret: str
    device_id: str
    use_count: int
    expire_time: float
    page_url: str = ""


class Role(StrEnum):
    """How much a certificate allows."""

    OPERATOR = "operator"
    VIEWER = "viewer"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who bears a certificate of the fleet's authority. Times are seconds since 1970.

    Attributes:
        name: ``grants/{grant_id}`` of a person or a program, ``devices/{device_id}`` of an agent.
    """

    name: str
    role: Role
    create_time: float
    expire_time: float


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list; ``next_page_token`` asks for what follows and is empty at the end."""

    items: tuple[Item, ...]
    next_page_token: str = ""


def device_name(device: str) -> str:
    """``devices/{id}`` of an id or a name.

    Raises:
        InvalidArgumentError: The id has characters that a name cannot have.
    """
    return _name("devices", device)


def measurement_name(measurement: str) -> str:
    """``measurements/{id}`` of an id or a name; errors as ``device_name``."""
    return _name("measurements", measurement)


def grant_name(grant: str) -> str:
    """``grants/{id}`` of an id or a name; errors as ``device_name``."""
    return _name("grants", grant)


def _name(collection: str, text: str) -> str:
    identifier = text.removeprefix(f"{collection}/")
    if not _ID.fullmatch(identifier):
        raise InvalidArgumentError(
            f"'{text[:140]}' is no name in {collection}: use 1 to 120 letters, digits, '.', '_' or '-', "
            "the first a letter or digit"
        )
    return f"{collection}/{identifier}"
