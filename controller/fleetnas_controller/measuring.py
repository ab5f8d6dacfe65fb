"""One network measured once on one device, from start to end."""

__all__ = ["Anchor", "Measuring"]

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import (
    Device,
    Limits,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_controller.network_files import onnx_files
from fleetnas_controller.user_network import UserNetwork
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.errors import CancelledError, DeadlineExceededError, FailedPreconditionError
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

_ANCHOR_SPACE = "nas-bench-macro"
_WAIT_S = 1_800.0
_SILENCE_S = 300.0  # a large network's conversion and first load give no sign of life


@dataclass(frozen=True, slots=True)
class Anchor:
    """The fixed network beside which others are timed, as files that the fleet has."""

    entry: str
    files: tuple[ModelFile, ...]

    @classmethod
    def uploaded(cls, client: FleetClient, folder: Path) -> "Anchor":
        """The reference of the space ``nas-bench-macro``, the anchor of its searches too; written to ``folder``."""
        found = space(_ANCHOR_SPACE)
        files = onnx_files(found, WeightPool(folder), client.put_artifact)
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

    def uploaded(self, network: UserNetwork) -> tuple[ModelFile, ...]:
        """The network's files, which the fleet has then."""
        made = []
        for name, path in network.files:
            artifact = self._client.put_artifact(path)
            made.append(ModelFile(name, artifact.sha256, artifact.size_bytes))
        return tuple(made)

    def measure(self, entry: str, files: Sequence[ModelFile], plan: Plan) -> MeasurementRecord:
        """Waits for the device and for the result; an interrupt cancels the measurement.

        Raises:
            FailedPreconditionError: The device gave no result; with its reason.
            CancelledError: Somebody else cancelled it.
            DeadlineExceededError: It took more than half an hour.
        """
        anchor = self._anchor
        # In a folder of their own, since the user's files may bear the anchor's names.
        own = [ModelFile(f"candidate/{one.path}", one.sha256, one.size_bytes) for one in files]
        record = self._client.create_measurement(
            MeasurementRequest(
                measurement_id=f"measure-{secrets.token_hex(8)}",
                files=(*own, *(anchor.files if anchor is not None else ())),
                entry_file=f"candidate/{entry}",
                anchor_entry_file=anchor.entry if anchor is not None else "",
                plan=plan,
                selector=Selector(device=self._device.device_id, runtime=self._runtime),
                limits=Limits(silence_s=_SILENCE_S),
                labels=(("command", "measure"),),
            )
        )
        try:
            finished = self._client.wait_any([record.name], _WAIT_S)
        except BaseException:
            self._client.cancel_measurement(record.name)
            raise
        if not finished:
            self._client.cancel_measurement(record.name)
            raise DeadlineExceededError(
                f"no result of '{entry}' from '{self._device.device_id}' within {_WAIT_S / 60:g} minutes: see "
                f"'fleetnas device show {self._device.device_id}'."
            )
        return _done(finished[0], entry)


def _done(record: MeasurementRecord, entry: str) -> MeasurementRecord:
    if record.state is MeasurementState.CANCELLED:
        raise CancelledError(f"the measurement of '{entry}' was cancelled: {record.name}.")
    if record.result is None or record.target is None:
        reason = record.fault.message if record.fault is not None else "no reason is known"
        raise FailedPreconditionError(f"'{entry}' was not measured: {reason}")
    return record
