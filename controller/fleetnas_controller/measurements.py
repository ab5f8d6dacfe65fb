"""What clients do with measurements: create, get, list, cancel."""

__all__ = ["MeasurementBook"]

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import PurePosixPath

from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.fleet_store import FleetStore
from fleetnas_controller.jobs import (
    MAX_PRIORITY,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    Page,
    measurement_name,
)
from fleetnas_controller.paging import token_number
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

_MAX_FILES = 100
_MAX_BATCH = 1000
_MAX_NETWORKS = 20
# Every run travels and is stored, thrice two numbers each: a report has to stay well below a message's 64 MiB.
_MAX_BATCH_RUNS = 40_000


class MeasurementBook:
    """The measurements of a fleet, finished ones included.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(
        self, fleet: Fleet, store: FleetStore, artifacts: ArtifactFolder, clock: Callable[[], float]
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._artifacts = artifacts
        self._clock = clock

    def create(self, request: MeasurementRequest) -> MeasurementRecord:
        """Queues it; the same request under the same id again returns the measurement that is there.

        Raises:
            InvalidArgumentError: A field cannot be used.
            AlreadyExistsError: Another request has the id.
            FailedPreconditionError: A file is not uploaded.
        """
        return self.create_all([request])[0]

    def create_all(self, requests: Sequence[MeasurementRequest]) -> tuple[MeasurementRecord, ...]:
        """As ``create`` for each in turn, after all were checked: none is created when one is refused.

        Raises:
            InvalidArgumentError: Two have one id, or there are more than 1,000.
        """
        names = [measurement_name(request.measurement_id) for request in requests]
        if len(set(names)) < len(requests) or len(requests) > _MAX_BATCH:
            raise InvalidArgumentError(
                f"`requests` ({len(requests)}, {len(set(names))} ids) must be up to {_MAX_BATCH} with different ids."
            )
        found = {name: self._known_or_checked(request) for name, request in zip(names, requests, strict=True)}
        now = self._clock()
        # A microsecond apart: the queue goes by age, and those of one call are to keep their order.
        new = [
            MeasurementRecord(name, request, MeasurementState.QUEUED, now + index * 1e-6, now)
            for index, (name, request) in enumerate(zip(names, requests, strict=True))
            if found[name] is None
        ]
        found |= {record.name: record for record in self._fleet.add(new)}
        return tuple(self._placed(record) for record in found.values() if record is not None)

    def get(self, name: str) -> MeasurementRecord:
        """Raises NotFoundError."""
        record = self._fleet.find(measurement_name(name))
        if record is None:
            raise NotFoundError(f"no measurement '{name}' here. List them, or check the id.")
        return self._placed(record)

    def list(self, page_size: int, page_token: str) -> Page[MeasurementRecord]:
        """In order of creation.

        Raises:
            InvalidArgumentError: ``page_token`` is not from a page before.
        """
        numbered = self._store.measurements(token_number(page_token, 0), page_size + 1)
        items = tuple(self._placed(record) for _, record in numbered[:page_size])
        return Page(items, str(numbered[page_size - 1][0]) if len(numbered) > page_size else "")

    def cancel(self, name: str) -> MeasurementRecord:
        """Cancelling twice is cancelling once.

        Raises:
            NotFoundError: There is no such measurement.
            FailedPreconditionError: It is done or failed.
        """
        record = self.get(name)
        if record.state in (MeasurementState.DONE, MeasurementState.FAILED):
            raise FailedPreconditionError(f"'{record.name}' is {record.state} already. Nothing to cancel.")
        if record.state is MeasurementState.CANCELLED:
            return record
        return self._fleet.cancel(record, "cancelled by an operator")

    def _placed(self, record: MeasurementRecord) -> MeasurementRecord:
        if record.state is not MeasurementState.QUEUED:
            return record
        return replace(record, queue_position=self._fleet.queue_position(record.name))

    def _known_or_checked(self, request: MeasurementRequest) -> MeasurementRecord | None:
        """The measurement that the request made before, or None when it may be made now."""
        name = measurement_name(request.measurement_id)
        known = self._fleet.find(name)
        if known is None:
            _check(request)
            for file in request.files:
                self._check_uploaded(file.sha256, file.size_bytes)
        elif known.request != request:
            raise AlreadyExistsError(
                f"'{name}' exists with another content. Choose another id, or get that one."
            )
        return known

    def _check_uploaded(self, sha256: str, size_bytes: int) -> None:
        try:
            stored = self._artifacts.get(sha256)
        except NotFoundError as error:
            raise FailedPreconditionError(str(error)) from error
        if stored.size_bytes != size_bytes:
            raise InvalidArgumentError(
                f"file {sha256[:12]} has {stored.size_bytes} bytes, the request says {size_bytes}. Correct it."
            )


def _check(request: MeasurementRequest) -> None:
    paths = [file.path for file in request.files]
    if not 1 <= len(paths) <= _MAX_FILES or len(set(paths)) < len(paths):
        raise InvalidArgumentError(f"`files` ({len(paths)}) must be 1 to {_MAX_FILES} with different paths.")
    for path in paths:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise InvalidArgumentError(
                f"file path '{path}' must be relative and stay inside, like 'net.onnx'."
            )
    entries = (request.entry_file, *request.companion_files)
    for entry in (*entries, request.anchor_entry_file or request.entry_file):
        if entry not in paths:
            raise InvalidArgumentError(f"entry file '{entry}' is not among the files: {', '.join(paths)}.")
    if request.companion_files:
        _check_batch(request, entries)
    if abs(request.priority) > MAX_PRIORITY:
        raise InvalidArgumentError(
            f"`priority` (={request.priority}) must lie between -{MAX_PRIORITY} and {MAX_PRIORITY}."
        )
    for field in ("device_s", "silence_s", "total_s"):
        value = getattr(request.limits, field)
        if not (isfinite(value) and 0 < value <= 30 * 86_400):
            raise InvalidArgumentError(f"`limits.{field}` (={value:g}) must lie between 0 and 30 days.")


def _check_batch(request: MeasurementRequest, entries: Sequence[str]) -> None:
    if len(entries) > _MAX_NETWORKS or len(set(entries)) < len(entries):
        raise InvalidArgumentError(
            f"`companion_files` ({len(entries) - 1}) must be up to {_MAX_NETWORKS - 1} different files beside the "
            "entry file."
        )
    if not request.selector.batches:
        raise InvalidArgumentError(
            "`companion_files` need a device that measures in turns: set `selector.batches`."
        )
    run_count = len(entries) * request.plan.max_run_count
    if run_count > _MAX_BATCH_RUNS:
        raise InvalidArgumentError(
            f"{len(entries)} networks of up to {request.plan.max_run_count} runs are {run_count} in all, at most "
            f"{_MAX_BATCH_RUNS} may be: set `plan.max_run_count` to {_MAX_BATCH_RUNS // len(entries)}."
        )
