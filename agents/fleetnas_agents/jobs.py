"""What an agent works on, and what it says of its device. Data only."""

__all__ = ["DeviceDescription", "FaultKind", "Job", "Lease", "MeasureError", "ModelFile", "model_at"]

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fleetnas_latency.plan import Plan
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FleetNASError


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What an agent says of its device.

    Attributes:
        kind: The driver, e.g. ``"host"``.
        targets: What it can measure.
        batches: Whether it measures several networks in turns.
    """

    model: str
    kind: str
    targets: tuple[Target, ...]
    labels: tuple[tuple[str, str], ...] = ()
    batches: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a measurement; goes with every message about it."""

    measurement: str
    fencing_token: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: its name beside the others, and what it must contain."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A leased measurement.

    Attributes:
        entry_file: The candidate among ``files``.
        anchor_entry_file: The anchor among them; empty for none.
        silence_s: Without a sign of progress, the runtime counts as hung.
        total_s: The whole attempt.
        runtime: Which of the device's runtimes; empty for its default.
        companion_files: Further candidates among ``files`` that take turns with the first.
        profile: Whether to tell what each operator takes.
    """

    lease: Lease
    files: tuple[ModelFile, ...]
    entry_file: str
    anchor_entry_file: str
    plan: Plan
    silence_s: float
    total_s: float
    runtime: str = ""
    companion_files: tuple[str, ...] = ()
    profile: bool = False

    def file(self, path: str) -> ModelFile:
        """Raises MeasureError when the job names a file that it does not bring."""
        for one in self.files:
            if one.path == path:
                return one
        raise MeasureError(FaultKind.MODEL, f"the job names '{path}', which is not among its files.")

    @property
    def entry_files(self) -> tuple[str, ...]:
        """Every candidate."""
        return (self.entry_file, *self.companion_files)

    def paths(self, folder: Path) -> tuple[Path, Path | None]:
        """Candidate and anchor in the folder where the files lie."""
        return folder / self.entry_file, folder / self.anchor_entry_file if self.anchor_entry_file else None


def model_at(model: str, clock: str) -> str:
    """A device's model in a target: with its cores held at a frequency it is another one (``"rk3288@1200000kHz"``).

    Args:
        clock: Empty where nothing is held.
    """
    return f"{model}@{clock}" if clock else model


class FaultKind(StrEnum):
    """Who is to blame; see measurement.proto."""

    INFRASTRUCTURE = "infrastructure"
    CRASH = "crash"
    MODEL = "model"


class MeasureError(FleetNASError):
    """An attempt that gave no measurement.

    Attributes:
        file: Path of the network to blame among the job's files; empty where that is unknown or none of them.
    """

    def __init__(self, kind: FaultKind, message: str, file: str = "") -> None:
        super().__init__(" ".join(message.split())[:500])
        self.kind = kind
        self.file = file

    @classmethod
    def infrastructure(cls, message: str) -> "MeasureError":
        return cls(FaultKind.INFRASTRUCTURE, message)

    def in_batch(self, job: Job, number: int) -> "MeasureError":
        """With the network of that number, from 1, to blame; itself where there is none or it is the only one."""
        count = len(job.entry_files)
        if self.kind is FaultKind.INFRASTRUCTURE or count == 1 or not 1 <= number <= count:
            return self
        message = f"network {number} of {count}: {self}"
        return MeasureError(self.kind, message, job.entry_files[number - 1])
