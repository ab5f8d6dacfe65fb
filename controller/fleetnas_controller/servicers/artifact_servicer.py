"""ArtifactService: files in, files out."""

__all__ = ["ArtifactServicer"]

from collections.abc import AsyncIterator
from typing import Any

from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.holding import check_holder
from fleetnas_controller.jobs import Artifact, Role
from fleetnas_controller.servicers.calls import Access, Answering
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import artifact_pb2 as pb
from fleetnas_protos.v1 import artifact_pb2_grpc
from fleetnas_search_spaces.errors import InvalidArgumentError

_CHUNK_BYTES = 256 << 10
_MAX_CHUNK_BYTES = 1 << 20


class ArtifactServicer(artifact_pb2_grpc.ArtifactServiceServicer):
    """See artifact.proto."""

    def __init__(self, artifacts: ArtifactFolder, fleet: Fleet, access: Access) -> None:
        self._artifacts = artifacts
        self._fleet = fleet
        self._access = access

    async def GetArtifact(self, request: pb.GetArtifactRequest, context: Any) -> pb.Artifact:
        async with Answering(context):
            self._access.viewer(context)
            return to_pb(self._artifacts.get(request.sha256))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.Upload:
        async with Answering(context):
            self._access.operator(context)
            received_bytes = self._artifacts.received_bytes(request.sha256)
            return pb.Upload(sha256=request.sha256, received_bytes=received_bytes)

    async def UploadArtifact(
        self, request_iterator: AsyncIterator[pb.UploadArtifactRequest], context: Any
    ) -> pb.Artifact:
        async with Answering(context):
            self._access.operator(context)
            first = await anext(aiter(request_iterator), None)
            if first is None or first.WhichOneof("part") != "artifact":
                raise InvalidArgumentError("an upload begins with `artifact`. Send it first.")
            announced = record_from_pb(first.artifact, Artifact)
            with self._artifacts.writer(announced, first.offset_bytes) as writer:
                async for part in request_iterator:
                    if len(part.chunk) > _MAX_CHUNK_BYTES:
                        raise InvalidArgumentError(
                            f"a chunk has {len(part.chunk)} bytes, at most {_MAX_CHUNK_BYTES} may. Send smaller ones."
                        )
                    writer.write(part.chunk)
            return to_pb(announced)

    async def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Any
    ) -> AsyncIterator[pb.DownloadArtifactResponse]:
        async with Answering(context):
            if self._access.role(context) is not Role.OPERATOR:
                check_holder(self._fleet, self._access.device(context), request.sha256)
            for chunk in self._artifacts.chunks(request.sha256, _CHUNK_BYTES, request.offset_bytes):
                yield pb.DownloadArtifactResponse(chunk=chunk)
