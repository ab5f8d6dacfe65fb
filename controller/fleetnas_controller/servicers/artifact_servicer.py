"""ArtifactService: files in, files out."""

__all__ = ["ArtifactServicer"]

from collections.abc import AsyncIterator
from typing import Any

from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import Artifact, Role
from fleetnas_controller.servicers.calls import Access, Answering
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import artifact_pb2 as pb
from fleetnas_protos.v1 import artifact_pb2_grpc
from fleetnas_search_spaces.errors import InvalidArgumentError, PermissionDeniedError

_CHUNK_BYTES = 256 << 10


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

    async def UploadArtifact(
        self, request_iterator: AsyncIterator[pb.UploadArtifactRequest], context: Any
    ) -> pb.Artifact:
        async with Answering(context):
            self._access.operator(context)
            first = await anext(aiter(request_iterator), None)
            if first is None or first.WhichOneof("part") != "artifact":
                raise InvalidArgumentError("an upload begins with `artifact`. Send it first.")
            announced = record_from_pb(first.artifact, Artifact)
            with self._artifacts.writer(announced) as writer:
                async for part in request_iterator:
                    writer.write(part.chunk)
            return to_pb(announced)

    async def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Any
    ) -> AsyncIterator[pb.DownloadArtifactResponse]:
        async with Answering(context):
            if self._access.role(context) is not Role.OPERATOR:
                self._check_holder(self._access.device(context), request.sha256)
            for chunk in self._artifacts.chunks(request.sha256, _CHUNK_BYTES):
                yield pb.DownloadArtifactResponse(chunk=chunk)

    def _check_holder(self, device: str, sha256: str) -> None:
        record = self._fleet.find(self._fleet.devices.get(device).holder)
        if record is None or sha256 not in {file.sha256 for file in record.request.files}:
            raise PermissionDeniedError(
                f"{device} holds no measurement with file {sha256[:12]}. Agents read the files of their own job."
            )
