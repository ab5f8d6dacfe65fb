"""Networks as files that the fleet has: small models beside weights that travel once."""

__all__ = ["NcnnFiles", "OnnxFiles", "files_for"]

from collections.abc import Callable, Collection
from pathlib import Path

from fleetnas_controller.jobs import Artifact, ModelFile
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.weights import WeightPool


class OnnxFiles:
    """Emits ONNX and uploads what the fleet lacks.

    The weights are seeded noise, the same for every network: latency does not depend on their values, and a
    device downloads each weight file once.

    Args:
        put: Uploads a file or bytes unless the fleet has them (``FleetClient.put_artifact``).
    """

    def __init__(
        self, space: SearchSpace, weights: WeightPool, put: Callable[[Path | bytes], Artifact]
    ) -> None:
        self._space = space
        self._weights = weights
        self._put = put
        self._known: dict[str, tuple[str, tuple[ModelFile, ...]]] = {}
        self._uploaded: dict[str, ModelFile] = {}

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        """See ``search.NetworkFiles``."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._emit(architecture)
        return self._known[architecture.key]

    def _emit(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        model = emit_onnx(self._space.graph(architecture), self._weights, external=True, key=architecture.key)
        artifact = self._put(model.model_bytes)
        entry = f"{artifact.sha256[:16]}.onnx"
        files = [ModelFile(entry, artifact.sha256, artifact.size_bytes)]
        for one in model.weight_files:
            if one.name not in self._uploaded:
                stored = self._put(one.path)
                self._uploaded[one.name] = ModelFile(one.name, stored.sha256, stored.size_bytes)
            files.append(self._uploaded[one.name])
        return entry, tuple(files)


class NcnnFiles:
    """As ``OnnxFiles``, for devices that run ncnn: a ``.param`` and a ``.weights`` beside the same weight files."""

    def __init__(
        self, space: SearchSpace, weights: WeightPool, put: Callable[[Path | bytes], Artifact]
    ) -> None:
        self._space = space
        self._weights = weights
        self._put = put
        self._known: dict[str, tuple[str, tuple[ModelFile, ...]]] = {}
        self._uploaded: dict[str, ModelFile] = {}

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        """See ``search.NetworkFiles``."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self._emit(architecture)
        return self._known[architecture.key]

    def _emit(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        model = emit_ncnn(self._space.graph(architecture), self._weights, external=True, key=architecture.key)
        # The list names the architecture, so its digest makes a name that no other network has.
        lists = self._put(model.weights_text.encode("utf-8"))
        stem = lists.sha256[:16]
        param = self._put(model.param_text.encode("utf-8"))
        files = [
            ModelFile(f"{stem}.param", param.sha256, param.size_bytes),
            ModelFile(f"{stem}.weights", lists.sha256, lists.size_bytes),
        ]
        for one in model.weight_files:
            if one.name not in self._uploaded:
                stored = self._put(one.path)
                self._uploaded[one.name] = ModelFile(one.name, stored.sha256, stored.size_bytes)
            files.append(self._uploaded[one.name])
        return files[0].path, tuple(files)


def files_for(
    runtimes: Collection[str],
    space: SearchSpace,
    weights: WeightPool,
    put: Callable[[Path | bytes], Artifact],
) -> NcnnFiles | OnnxFiles:
    """What devices with these runtimes can load.

    Raises:
        FailedPreconditionError: Some of them run ncnn and others do not.
    """
    if "ncnn" not in runtimes:
        return OnnxFiles(space, weights, put)
    if set(runtimes) != {"ncnn"}:
        raise FailedPreconditionError(
            f"these devices run {', '.join(sorted(set(runtimes)))}, which load different files: search on the ncnn "
            "devices and on the others apart."
        )
    return NcnnFiles(space, weights, put)
