"""Networks as files that the fleet has: small models beside weights that travel once."""

__all__ = ["OnnxFiles"]

from collections.abc import Callable
from pathlib import Path

from fleetnas_controller.jobs import Artifact, ModelFile
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.emit_onnx import emit_onnx
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
