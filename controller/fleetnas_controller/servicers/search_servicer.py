"""SearchService: searches as clients see them."""

__all__ = ["SearchServicer"]

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import ToldLatency, TrialInfo
from fleetnas_controller.searches import SearchBook
from fleetnas_controller.servicers.calls import Access, Answering, page_size_of
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import search_pb2 as pb
from fleetnas_protos.v1 import search_pb2_grpc

_POLL_S = 0.25
_WATCH_PART = 500


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """See search.proto."""

    def __init__(self, book: SearchBook, access: Access) -> None:
        self._book = book
        self._access = access
        # So that they are not lost before they are done.
        self._proposing: set[asyncio.Task[TrialInfo]] = set()

    async def CreateSearch(self, request: pb.CreateSearchRequest, context: Any) -> pb.Search:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._book.create(record_from_pb(request.config, SearchConfig)))

    async def GetSearch(self, request: pb.GetSearchRequest, context: Any) -> pb.Search:
        async with Answering(context):
            self._access.viewer(context)
            return to_pb(self._book.get(request.name))

    async def ListSearches(self, request: pb.ListSearchesRequest, context: Any) -> pb.ListSearchesResponse:
        async with Answering(context):
            self._access.viewer(context)
            page = self._book.list(page_size_of(request.page_size), request.page_token)
            return pb.ListSearchesResponse(
                searches=map(to_pb, page.items), next_page_token=page.next_page_token
            )

    async def CancelSearch(self, request: pb.CancelSearchRequest, context: Any) -> pb.Search:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._book.cancel(request.name))

    async def ListTrials(self, request: pb.ListTrialsRequest, context: Any) -> pb.ListTrialsResponse:
        async with Answering(context):
            self._access.viewer(context)
            page = self._book.list_trials(request.name, page_size_of(request.page_size), request.page_token)
            return pb.ListTrialsResponse(trials=map(to_pb, page.items), next_page_token=page.next_page_token)

    async def WatchSearch(
        self, request: pb.WatchSearchRequest, context: Any
    ) -> AsyncIterator[pb.WatchSearchResponse]:
        async with Answering(context):
            self._access.viewer(context)
            number, order, state = -1, -1, ""
            while True:
                # The state first: whatever is told before an end is then among the trials.
                search = self._book.get(request.name)
                new = self._book.changed_trials(request.name, number, order)
                number = max([number, *(one.number for one in new)])
                order = max([order, *(one.order for one in new)])
                for start in range(0, len(new), _WATCH_PART):
                    part = new[start : start + _WATCH_PART]
                    yield pb.WatchSearchResponse(search=to_pb(search), trials=map(to_pb, part))
                if not new and search.state != state:
                    yield pb.WatchSearchResponse(search=to_pb(search))
                state = search.state
                if search.state.ended:
                    return
                await asyncio.sleep(_POLL_S)

    async def Propose(self, request: pb.ProposeRequest, context: Any) -> pb.Trial:
        async with Answering(context):
            self._access.operator(context)
            # A caller that leaves must not let another in while the strategy still thinks.
            proposing = asyncio.create_task(self._proposed(request.name, request.worker))
            self._proposing.add(proposing)
            proposing.add_done_callback(self._proposing.discard)
            return to_pb(await asyncio.shield(proposing))

    async def _proposed(self, name: str, worker: str) -> TrialInfo:
        """A strategy may think for seconds, in which agents and other clients are served."""
        told = self._book.told(name)
        async with told.turn:
            await asyncio.to_thread(told.prepare, worker)
            return self._book.propose(name, worker)

    async def Tell(self, request: pb.TellRequest, context: Any) -> pb.Trial:
        async with Answering(context):
            self._access.operator(context)
            accuracy = request.accuracy if request.HasField("accuracy") else None
            latencies = tuple(record_from_pb(one, ToldLatency) for one in request.latencies)
            async with self._book.told(request.name).turn:
                told = self._book.tell(request.name, request.number, accuracy, latencies, request.fault)
            return to_pb(told)
