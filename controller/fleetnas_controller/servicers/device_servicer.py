"""DeviceService: the operator's view of the devices."""

__all__ = ["DeviceServicer"]

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.empty_pb2 import Empty

from fleetnas_controller.enrolment import Enrolment
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import device_name
from fleetnas_controller.servicers.calls import Access, Answering, page_size_of
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import device_pb2, device_pb2_grpc


class DeviceServicer(device_pb2_grpc.DeviceServiceServicer):
    """See device.proto.

    Args:
        join_text: What an agent is given for a token's secret.
    """

    def __init__(
        self, fleet: Fleet, enrolment: Enrolment, access: Access, join_text: Callable[[str], str]
    ) -> None:
        self._fleet = fleet
        self._enrolment = enrolment
        self._access = access
        self._join_text = join_text

    async def CreateJoinToken(
        self, request: device_pb2.CreateJoinTokenRequest, context: Any
    ) -> device_pb2.JoinToken:
        async with Answering(context):
            self._access.operator(context)
            ttl_s = request.ttl.ToNanoseconds() / 1e9
            token = self._enrolment.create_token(request.device_id, request.use_count, ttl_s)
            return to_pb(replace(token, secret=self._join_text(token.secret)))

    async def GetDevice(self, request: device_pb2.GetDeviceRequest, context: Any) -> device_pb2.Device:
        async with Answering(context):
            self._access.viewer(context)
            return to_pb(self._fleet.devices.get(device_name(request.name)))

    async def ListDevices(
        self, request: device_pb2.ListDevicesRequest, context: Any
    ) -> device_pb2.ListDevicesResponse:
        async with Answering(context):
            self._access.viewer(context)
            size = page_size_of(request.page_size)
            later = [d for d in self._fleet.devices.all() if d.name > request.page_token]
            return device_pb2.ListDevicesResponse(
                devices=[to_pb(device) for device in later[:size]],
                next_page_token=later[size - 1].name if len(later) > size else "",
            )

    async def DrainDevice(self, request: device_pb2.DrainDeviceRequest, context: Any) -> device_pb2.Device:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._fleet.set_drained(device_name(request.name), True))

    async def UndrainDevice(
        self, request: device_pb2.UndrainDeviceRequest, context: Any
    ) -> device_pb2.Device:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._fleet.set_drained(device_name(request.name), False))

    async def RemoveDevice(self, request: device_pb2.RemoveDeviceRequest, context: Any) -> Empty:
        async with Answering(context):
            self._access.operator(context)
            self._fleet.remove(device_name(request.name))
            return Empty()
