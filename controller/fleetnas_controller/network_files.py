"""Networks as files that the fleet has: small models beside weights that travel once."""

__all__ = ["NATIVE_KINDS", "files_for", "ncnn_files", "onnx_files"]

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.jobs import Artifact, Device, ModelFile
from fleetnas_controller.trial_runner import NetworkFiles
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.weights import WeightFile, WeightPool

NATIVE_KINDS = ("adb", "ssh")
"""Drivers whose runner on the device loads ncnn's own files."""


@dataclass(frozen=True, slots=True)
class _Emitted:
    """A network's own files by the ending of their names, the one that is loaded first; and those it shares."""

    own: Mapping[str, bytes]
    named_by: str
    shared: tuple[WeightFile, ...]


class _Files:
    """Emits networks and uploads what the fleet lacks: a ``search.NetworkFiles``.

    The weights are seeded noise, the same for every network: latency does not depend on their values, and a
    device downloads each weight file once.

    Args:
        put: Uploads a file or bytes unless the fleet has them (``FleetClient.put_artifact``).
    """

    def __init__(
        self, emit: Callable[[Architecture], _Emitted], put: Callable[[Path | bytes], Artifact]
    ) -> None:
        self._emit = emit
        self._put = put
        self._known: dict[str, tuple[str, tuple[ModelFile, ...]]] = {}
        self._uploaded: dict[str, ModelFile] = {}

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        """See ``search.NetworkFiles``."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._put_all(self._emit(architecture))
        return self._known[architecture.key]

    def _put_all(self, emitted: _Emitted) -> tuple[str, tuple[ModelFile, ...]]:
        stored = {ending: self._put(content) for ending, content in emitted.own.items()}
        stem = stored[emitted.named_by].sha256[:16]
        files = [ModelFile(f"{stem}.{ending}", one.sha256, one.size_bytes) for ending, one in stored.items()]
        for shared in emitted.shared:
            if shared.name not in self._uploaded:
                one = self._put(shared.path)
                self._uploaded[shared.name] = ModelFile(shared.name, one.sha256, one.size_bytes)
            files.append(self._uploaded[shared.name])
        return files[0].path, tuple(files)


def onnx_files(
    space: SearchSpace, weights: WeightPool, put: Callable[[Path | bytes], Artifact]
) -> NetworkFiles:
    """ONNX models beside shared weight files."""

    def emit(architecture: Architecture) -> _Emitted:
        model = emit_onnx(space.graph(architecture), weights, external=True, key=architecture.key)
        return _Emitted({"onnx": model.model_bytes}, "onnx", model.weight_files)

    return _Files(emit, put)


def ncnn_files(
    space: SearchSpace, weights: WeightPool, put: Callable[[Path | bytes], Artifact]
) -> NetworkFiles:
    """A ``.param`` and a ``.weights`` for each network, beside the same weight files as ONNX has."""

    def emit(architecture: Architecture) -> _Emitted:
        model = emit_ncnn(space.graph(architecture), weights, external=True, key=architecture.key)
        own = {"param": model.param_text.encode("utf-8"), "weights": model.weights_text.encode("utf-8")}
        # The list names the architecture, so its digest makes a name that no other network has.
        return _Emitted(own, "weights", model.weight_files)

    return _Files(emit, put)


def files_for(
    devices: Collection[Device],
    space: SearchSpace,
    weights: WeightPool,
    put: Callable[[Path | bytes], Artifact],
) -> NetworkFiles:
    """What these devices can load, which the driver that reaches a device decides: a host's ncnn takes ONNX too.

    Raises:
        FailedPreconditionError: Some of them are reached by the native runner and others are not.
    """
    native = [one for one in devices if one.kind in NATIVE_KINDS]
    if native and len(native) < len(devices):
        names = ", ".join(f"'{one.device_id}' ({one.kind})" for one in devices)
        raise FailedPreconditionError(
            f"the devices {names} load different files: search on those behind adb or SSH and on the others apart."
        )
    return (ncnn_files if native else onnx_files)(space, weights, put)
