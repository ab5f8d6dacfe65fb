"""MeasurementService: measurements as clients see them."""

__all__ = ["MeasurementServicer"]

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, measurement_name
from fleetnas_controller.measurements import MeasurementBook
from fleetnas_controller.servicers.calls import Access, Answering, page_size_of
from fleetnas_controller.sessions import SessionHub
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import measurement_pb2 as pb
from fleetnas_protos.v1 import measurement_pb2_grpc
from fleetnas_search_spaces.errors import InvalidArgumentError

# Results carry their raw samples, so a first answer about many names goes out in parts.
_SNAPSHOT_PART = 25


class MeasurementServicer(measurement_pb2_grpc.MeasurementServiceServicer):
    """See measurement.proto."""

    def __init__(self, book: MeasurementBook, hub: SessionHub, access: Access) -> None:
        self._book = book
        self._hub = hub
        self._access = access

    async def CreateMeasurement(self, request: pb.CreateMeasurementRequest, context: Any) -> pb.Measurement:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._book.create(record_from_pb(request.request, MeasurementRequest)))

    async def BatchCreateMeasurements(
        self, request: pb.BatchCreateMeasurementsRequest, context: Any
    ) -> pb.BatchCreateMeasurementsResponse:
        async with Answering(context):
            self._access.operator(context)
            wanted = [record_from_pb(item.request, MeasurementRequest) for item in request.requests]
            records = self._book.create_all(wanted)
            return pb.BatchCreateMeasurementsResponse(measurements=map(to_pb, records))

    async def GetMeasurement(self, request: pb.GetMeasurementRequest, context: Any) -> pb.Measurement:
        async with Answering(context):
            self._access.viewer(context)
            return to_pb(self._book.get(request.name))

    async def ListMeasurements(
        self, request: pb.ListMeasurementsRequest, context: Any
    ) -> pb.ListMeasurementsResponse:
        async with Answering(context):
            self._access.viewer(context)
            page = self._book.list(page_size_of(request.page_size), request.page_token)
            return pb.ListMeasurementsResponse(
                measurements=map(to_pb, page.items), next_page_token=page.next_page_token
            )

    async def CancelMeasurement(self, request: pb.CancelMeasurementRequest, context: Any) -> pb.Measurement:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._book.cancel(request.name))

    async def WatchMeasurements(
        self, request: pb.WatchMeasurementsRequest, context: Any
    ) -> AsyncIterator[pb.WatchMeasurementsResponse]:
        async with Answering(context):
            self._access.viewer(context)
            watch = self._hub.watch(_filter(request))
            try:
                records = [self._book.get(name) for name in request.names]
                for start in range(0, len(records), _SNAPSHOT_PART):
                    yield _answer(records[start : start + _SNAPSHOT_PART])
                while True:
                    yield _answer([await watch.next()])
            finally:
                self._hub.unwatch(watch)


def _filter(request: pb.WatchMeasurementsRequest) -> Callable[[MeasurementRecord], bool]:
    names = {measurement_name(name) for name in request.names}
    labels = set(request.labels.items())
    if not names and not labels:
        raise InvalidArgumentError("a watch needs `names` or `labels`. Say what to watch.")

    def wanted(record: MeasurementRecord) -> bool:
        return record.name in names or (bool(labels) and labels <= set(record.request.labels))

    return wanted


def _answer(records: Iterable[MeasurementRecord]) -> pb.WatchMeasurementsResponse:
    return pb.WatchMeasurementsResponse(measurements=[to_pb(record) for record in records])
