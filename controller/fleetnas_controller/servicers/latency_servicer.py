"""LatencyService: what the controller's latency table knows."""

__all__ = ["LatencyServicer"]

import asyncio
from typing import Any

from fleetnas_controller.latency_answers import LatencyBook
from fleetnas_controller.servicers.calls import Access, Answering
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import latency_pb2, latency_pb2_grpc


class LatencyServicer(latency_pb2_grpc.LatencyServiceServicer):
    """See latency.proto. Fitting takes a while, so every answer is found in a thread."""

    def __init__(self, book: LatencyBook, access: Access) -> None:
        self._book = book
        self._access = access

    async def ListTargets(
        self, request: latency_pb2.ListTargetsRequest, context: Any
    ) -> latency_pb2.ListTargetsResponse:
        async with Answering(context):
            self._access.viewer(context)
            targets = await asyncio.to_thread(self._book.targets)
            return latency_pb2.ListTargetsResponse(targets=map(to_pb, targets))

    async def QueryLatency(
        self, request: latency_pb2.QueryLatencyRequest, context: Any
    ) -> latency_pb2.LatencyEntry:
        async with Answering(context):
            self._access.viewer(context)
            return to_pb(
                await asyncio.to_thread(self._book.query, request.device, request.space, request.key)
            )

    async def PredictLatencies(
        self, request: latency_pb2.PredictLatenciesRequest, context: Any
    ) -> latency_pb2.PredictLatenciesResponse:
        async with Answering(context):
            self._access.viewer(context)
            architectures = tuple(request.architectures)
            answer = await asyncio.to_thread(self._book.predict, request.device, request.space, architectures)
            return to_pb(answer)
