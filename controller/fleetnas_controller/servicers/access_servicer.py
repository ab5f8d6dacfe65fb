"""AccessService: certificates of people and programs."""

__all__ = ["AccessServicer"]

from typing import Any

from google.protobuf.empty_pb2 import Empty

from fleetnas_controller.grants import GrantBook
from fleetnas_controller.jobs import Role
from fleetnas_controller.servicers.calls import Access, Answering
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import access_pb2 as pb
from fleetnas_protos.v1 import access_pb2_grpc
from fleetnas_search_spaces.errors import InvalidArgumentError

_ROLES = {pb.Grant.OPERATOR: Role.OPERATOR, pb.Grant.VIEWER: Role.VIEWER}


class AccessServicer(access_pb2_grpc.AccessServiceServicer):
    """See access.proto."""

    def __init__(self, grants: GrantBook, access: Access) -> None:
        self._grants = grants
        self._access = access

    async def CreateGrant(self, request: pb.CreateGrantRequest, context: Any) -> pb.CreateGrantResponse:
        async with Answering(context):
            self._access.operator(context)
            if request.role not in _ROLES:
                raise InvalidArgumentError(f"`role` (={request.role}) is neither OPERATOR nor VIEWER.")
            grant, pem = self._grants.give(
                request.grant_id,
                _ROLES[request.role],
                request.ttl.ToNanoseconds() / 1e9,
                request.certificate_request_pem,
            )
            return pb.CreateGrantResponse(grant=to_pb(grant), certificate_pem=pem)

    async def ListGrants(self, request: pb.ListGrantsRequest, context: Any) -> pb.ListGrantsResponse:
        async with Answering(context):
            self._access.operator(context)
            return pb.ListGrantsResponse(grants=[to_pb(one) for one in self._grants.people()])

    async def DeleteGrant(self, request: pb.DeleteGrantRequest, context: Any) -> Empty:
        async with Answering(context):
            self._access.operator(context)
            self._grants.take(request.name)
            return Empty()
