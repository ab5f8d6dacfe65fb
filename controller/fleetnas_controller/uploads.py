"""Files on their way to a controller."""

__all__ = ["upload"]

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from fleetnas_controller.connection import CALL_S
from fleetnas_controller.jobs import Artifact
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import artifact_pb2

_TRANSFER_S = 600.0
_CHUNK_BYTES = 256 << 10


def upload(
    stub: Any, artifact: Artifact, content: Path | bytes, metadata: tuple[tuple[str, str], ...]
) -> None:
    """From where an earlier try broke off, if there was one and nobody else goes on with it.

    Args:
        stub: Of the controller's ArtifactService.

    Raises:
        grpc.RpcError: The transfer broke, or the controller does not want the file.
    """
    asked = artifact_pb2.GetUploadRequest(sha256=artifact.sha256)
    offset_bytes = stub.GetUpload(asked, timeout=CALL_S, metadata=metadata).received_bytes
    for start in {offset_bytes: None, 0: None}:
        try:
            stub.UploadArtifact(_parts(artifact, content, start), timeout=_TRANSFER_S, metadata=metadata)
            return
        except grpc.RpcError as error:
            if start == 0 or error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


def _parts(
    artifact: Artifact, content: Path | bytes, offset_bytes: int
) -> Iterator[artifact_pb2.UploadArtifactRequest]:
    yield artifact_pb2.UploadArtifactRequest(artifact=to_pb(artifact), offset_bytes=offset_bytes)
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        file.seek(offset_bytes)
        while chunk := file.read(_CHUNK_BYTES):
            yield artifact_pb2.UploadArtifactRequest(chunk=chunk)
