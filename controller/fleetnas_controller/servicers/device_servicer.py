"""DeviceService: the operator's view of the devices."""

__all__ = ["DeviceServicer"]

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.empty_pb2 import Empty

from fleetnas_controller.enrolment import Enrolment
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.health_monitor import HealthMonitor
from fleetnas_controller.jobs import JoinToken, device_name
from fleetnas_controller.paging import token_number
from fleetnas_controller.servicers.calls import Access, Answering, page_size_of
from fleetnas_controller.wire import to_pb
from fleetnas_protos.v1 import device_pb2, device_pb2_grpc, measurement_pb2
from fleetnas_search_spaces.errors import FailedPreconditionError


class DeviceServicer(device_pb2_grpc.DeviceServiceServicer):
    """See device.proto.

    Args:
        join_text: What an agent is given for a token's secret.
        page_link: What a browser is given; None where no pages are served.
    """

    def __init__(
        self,
        fleet: Fleet,
        enrolment: Enrolment,
        access: Access,
        health: HealthMonitor,
        join_text: Callable[[str], str],
        page_link: Callable[[str], str] | None = None,
    ) -> None:
        self._fleet = fleet
        self._enrolment = enrolment
        self._access = access
        self._health = health
        self._join_text = join_text
        self._page_link = page_link

    async def CreateJoinToken(
        self, request: device_pb2.CreateJoinTokenRequest, context: Any
    ) -> device_pb2.JoinToken:
        async with Answering(context):
            self._access.operator(context)
            ttl_s = request.ttl.ToNanoseconds() / 1e9
            if request.page:
                return to_pb(self._page_token(request, ttl_s))
            token = self._enrolment.create_token(request.device_id, request.use_count, ttl_s)
            return to_pb(replace(token, secret=self._join_text(token.secret)))

    def _page_token(self, request: device_pb2.CreateJoinTokenRequest, ttl_s: float) -> JoinToken:
        if self._page_link is None:
            raise FailedPreconditionError(
                "this controller serves no pages. Start it with --pages, e.g. fleetnas serve --pages 127.0.0.1:7080"
            )
        device_id = request.device_id or f"page-{secrets.token_hex(3)}"
        token = self._enrolment.create_token(device_id, request.use_count, ttl_s)
        return replace(token, page_url=self._page_link(token.secret))

    async def GetDevice(self, request: device_pb2.GetDeviceRequest, context: Any) -> device_pb2.Device:
        async with Answering(context):
            self._access.viewer(context)
            device = self._fleet.devices.get(device_name(request.name))
            return to_pb(replace(device, queue_count=self._fleet.waiting_count(device)))

    async def ListDevices(
        self, request: device_pb2.ListDevicesRequest, context: Any
    ) -> device_pb2.ListDevicesResponse:
        async with Answering(context):
            self._access.viewer(context)
            size = page_size_of(request.page_size)
            later = [d for d in self._fleet.devices.all() if d.name > request.page_token]
            shown = [replace(one, queue_count=self._fleet.waiting_count(one)) for one in later[:size]]
            return device_pb2.ListDevicesResponse(
                devices=[to_pb(one) for one in shown],
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

    async def ListDeviceQueue(
        self, request: device_pb2.ListDeviceQueueRequest, context: Any
    ) -> device_pb2.ListDeviceQueueResponse:
        async with Answering(context):
            self._access.viewer(context)
            size = page_size_of(request.page_size)
            device = self._fleet.devices.get(device_name(request.name))
            waiting = self._fleet.waiting(device)
            return device_pb2.ListDeviceQueueResponse(
                measurements=[to_pb(one) for one in waiting[:size]], total_count=len(waiting)
            )

    async def CheckDevice(
        self, request: device_pb2.CheckDeviceRequest, context: Any
    ) -> measurement_pb2.Measurement:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._health.check(device_name(request.name)))

    async def ReleaseDevice(
        self, request: device_pb2.ReleaseDeviceRequest, context: Any
    ) -> device_pb2.Device:
        async with Answering(context):
            self._access.operator(context)
            return to_pb(self._health.release(device_name(request.name)))

    async def ListHealthChecks(
        self, request: device_pb2.ListHealthChecksRequest, context: Any
    ) -> device_pb2.ListHealthChecksResponse:
        async with Answering(context):
            self._access.viewer(context)
            size, before = page_size_of(request.page_size), token_number(request.page_token, 0)
            checks = self._health.history(device_name(request.name), before, size + 1)
            return device_pb2.ListHealthChecksResponse(
                health_checks=[to_pb(one) for one in checks[:size]],
                next_page_token=str(checks[size - 1].number) if len(checks) > size else "",
            )
