"""One network, or several in turns, measured once on one device, from start to end."""

__all__ = ["Anchor", "Measuring", "Uploaded"]

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import (
    Device,
    Fault,
    FaultKind,
    Limits,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_controller.network_files import files_for
from fleetnas_controller.user_network import UserNetwork
from fleetnas_latency.anchored_batch import longest_s
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.errors import CancelledError, DeadlineExceededError, FailedPreconditionError
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

_ANCHOR_SPACE = "nas-bench-macro"
_WAIT_S = 1_800.0
_SILENCE_S = 300.0  # a large network's conversion and first load give no sign of life
_BATCH_RUNS = 40_000  # of all networks together, the most that the controller takes
_LOAD_S = 60.0  # of one network, twice


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A network whose files the fleet has; ``entry`` is the model among them."""

    entry: str
    files: tuple[ModelFile, ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The fixed network beside which others are timed, as files that the fleet has."""

    entry: str
    files: tuple[ModelFile, ...]

    @classmethod
    def uploaded(cls, client: FleetClient, device: Device, folder: Path) -> "Anchor":
        """The reference of the space ``nas-bench-macro``, the anchor of its searches too; written to ``folder``."""
        found = space(_ANCHOR_SPACE)
        files = files_for([device], found, WeightPool(folder), client.put_artifact)
        return cls(*files.upload(found.canonical(found.reference)))


class Measuring:
    """Measures on one device.

    Args:
        runtime: Empty for the device's default.
        anchor: None: measure without one.
    """

    def __init__(self, client: FleetClient, device: Device, runtime: str, anchor: Anchor | None) -> None:
        self._client = client
        self._device = device
        self._runtime = runtime
        self._anchor = anchor

    def uploaded(self, network: UserNetwork) -> Uploaded:
        """Uploads the network's files."""
        made = []
        for name, path in network.files:
            artifact = self._client.put_artifact(path)
            made.append(ModelFile(name, artifact.sha256, artifact.size_bytes))
        return Uploaded(network.entry, tuple(made))

    def measure(
        self, networks: Sequence[Uploaded], plan: Plan, *, profile: bool = False
    ) -> MeasurementRecord:
        """Waits for the device and for the result; an interrupt cancels the measurement.

        Args:
            networks: Several take turns, between two looks at the anchor; the results of all but the first are the
                ``companions`` of the first one's.

        Raises:
            FailedPreconditionError: The device gave no result, with its reason, or takes no batches.
            CancelledError: Somebody else cancelled it.
            DeadlineExceededError: It took more than half an hour, or than a batch may take.
        """
        return _done(self._finished(networks, plan, profile), _names(networks))

    def measure_good(
        self, networks: Sequence[Uploaded], plan: Plan, *, profile: bool = False
    ) -> tuple[MeasurementRecord | None, dict[int, Fault]]:
        """As ``measure``; a network of a batch that the device cannot run is left out and the others measured again.

        Returns:
            The record of those that ran, in their order, and by its index the fault of each of the others. No
            record where none ran.

        Raises:
            FleetNASError: As ``measure``, where no network of a batch is to blame.
        """
        left, bad = list(range(len(networks))), dict[int, Fault]()
        while left:
            asked = [networks[index] for index in left]
            record = self._finished(asked, plan, profile)
            fault = record.fault if record.state is MeasurementState.FAILED else None
            blamed = _blamed(record, fault, alone=bool(bad) and len(left) == 1)
            if fault is None or blamed is None:
                return _done(record, _names(asked)), bad
            bad[left.pop(blamed)] = fault
        return None, bad

    def _finished(self, networks: Sequence[Uploaded], plan: Plan, profile: bool) -> MeasurementRecord:
        if len(networks) > 1 and not self._device.batches:
            raise FailedPreconditionError(
                f"device '{self._device.device_id}' measures one network at a time: give one file."
            )
        request = self._request(networks, plan, profile)
        wait_s = max(_WAIT_S, request.limits.device_s + request.limits.total_s)
        record = self._client.create_measurement(request)
        try:
            finished = self._client.wait_any([record.name], wait_s)
        except BaseException:
            self._client.cancel_measurement(record.name)
            raise
        if not finished:
            self._client.cancel_measurement(record.name)
            raise DeadlineExceededError(
                f"no result of '{_names(networks)}' from '{self._device.device_id}' within {wait_s / 60:.0f} "
                f"minutes: see 'fleetnas device show {self._device.device_id}'."
            )
        return finished[0]

    def _request(self, networks: Sequence[Uploaded], plan: Plan, profile: bool) -> MeasurementRequest:
        anchor, count = self._anchor, len(networks)
        # Each in a folder of its own, since files may bear each other's names or the anchor's.
        folders = ["candidate", *(f"candidate-{number}" for number in range(2, count + 1))]
        entries = [f"{folder}/{one.entry}" for folder, one in zip(folders, networks, strict=True)]
        files = [
            ModelFile(f"{folder}/{file.path}", file.sha256, file.size_bytes)
            for folder, one in zip(folders, networks, strict=True)
            for file in one.files
        ]
        limits = Limits(silence_s=_SILENCE_S)
        if count > 1:
            plan = replace(plan, max_run_count=min(plan.max_run_count, _BATCH_RUNS // count))
            limits = replace(limits, total_s=max(limits.total_s, longest_s(plan, count) + count * _LOAD_S))
        return MeasurementRequest(
            measurement_id=f"measure-{secrets.token_hex(8)}",
            files=(*files, *(anchor.files if anchor is not None else ())),
            entry_file=entries[0],
            companion_files=tuple(entries[1:]),
            anchor_entry_file=anchor.entry if anchor is not None else "",
            plan=plan,
            selector=Selector(device=self._device.device_id, runtime=self._runtime, batches=count > 1),
            limits=limits,
            labels=(("command", "measure"),),
            profile=profile,
        )


def _names(networks: Sequence[Uploaded]) -> str:
    return ", ".join(one.entry for one in networks)


def _blamed(record: MeasurementRecord, fault: Fault | None, *, alone: bool) -> int | None:
    """Index of the network to leave out; None where the fault is none of a network's.

    Args:
        alone: Whether it is the only one that is left of a batch, which needs no naming.
    """
    if fault is None or fault.kind is FaultKind.INFRASTRUCTURE:
        return None
    entries = (record.request.entry_file, *record.request.companion_files)
    if fault.file in entries:
        return entries.index(fault.file)
    return 0 if alone else None


def _done(record: MeasurementRecord, entry: str) -> MeasurementRecord:
    if record.state is MeasurementState.CANCELLED:
        raise CancelledError(f"the measurement of '{entry}' was cancelled: {record.name}.")
    if record.result is None or record.target is None:
        reason = record.fault.message if record.fault is not None else "no reason is known"
        raise FailedPreconditionError(f"'{entry}' was not measured: {reason}")
    return record
