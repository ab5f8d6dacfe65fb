"""A page without a browser: it speaks a page's part of the protocol, and whatever else a test wants it to say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleetnas_protos.v1 import fleet_pb2, measurement_pb2, target_pb2

aiohttp = pytest.importorskip("aiohttp", reason="the package aiohttp is not installed")

TARGET = target_pb2.Target(
    device_model="phone", runtime="onnxruntime-web", runtime_version="1", thread_count=1,
    precision=target_pb2.Target.Precision.FP32, statistic="wall_median",
)  # fmt: skip
DESCRIPTION = fleet_pb2.DeviceDescription(model="phone", kind="page", targets=[TARGET])


class FakePage:
    """Speaks a page's part of the protocol."""

    def __init__(self, fleet: Any, session: Any) -> None:
        self._fleet = fleet
        self._session = session
        self.credential = ""

    async def post(self, token: str, **fields: Any) -> tuple[int, bytes]:
        request = fleet_pb2.EnrollRequest(join_token=token, description=DESCRIPTION, **fields)
        url = f"{self._fleet.page_url}enroll"
        async with self._session.post(url, data=request.SerializeToString()) as answer:
            return answer.status, await answer.read()

    async def enrol(self, device: str = "phone") -> None:
        token = self._fleet.client.create_join_token(device_id=device, page=True).secret
        status, body = await self.post(token)
        assert status == 200, body
        self.credential = fleet_pb2.EnrollResponse.FromString(body).credential

    async def get(self, address: str, credential: str | None = None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {credential or self.credential}"}
        async with self._session.get(f"{self._fleet.page_url}{address}", headers=headers) as answer:
            return answer.status, await answer.read()

    @asynccontextmanager
    async def session(
        self, credential: str | None = None, *, protocol: str = "fleetnas.v1"
    ) -> AsyncIterator[Any]:
        offered = [protocol, f"fleetnas.credential.{credential or self.credential}"]
        url = self._fleet.page_url.replace("http", "ws") + "session"
        async with self._session.ws_connect(url, protocols=offered, max_msg_size=0) as socket:
            yield socket

    async def hello(self, socket: Any, held: Sequence[fleet_pb2.Lease] = (), device: str = "phone") -> None:
        await say(socket, hello=fleet_pb2.Hello(description=DESCRIPTION, held=held))
        assert (await heard(socket, "welcome")).device == f"devices/{device}"


async def say(socket: Any, **fields: Any) -> None:
    await socket.send_bytes(fleet_pb2.AgentMessage(**fields).SerializeToString())


async def heard(socket: Any, kind: str) -> Any:
    """The next message of that kind."""
    while True:
        frame = await socket.receive(timeout=60.0)
        assert frame.type is aiohttp.WSMsgType.BINARY, (frame, socket.close_code)
        message = fleet_pb2.ControllerMessage.FromString(frame.data)
        if message.WhichOneof("kind") == kind:
            return getattr(message, kind)


async def ask(fleet: Any, folder: Path, socket: Any) -> fleet_pb2.Lease:
    """The lease on a job that was asked for just now."""
    await asyncio.to_thread(fleet.ask, folder, "m")
    return (await heard(socket, "assignment")).lease


async def closed(socket: Any) -> tuple[int, str]:
    """The code and the reason that the session ends with."""
    while True:
        frame = await socket.receive(timeout=60.0)
        if frame.type is aiohttp.WSMsgType.CLOSE:
            return frame.data, frame.extra
        if frame.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            return socket.close_code or 1006, ""
        assert frame.type is aiohttp.WSMsgType.BINARY, frame


def result_of(digest: Any, rounds: int = 12) -> measurement_pb2.MeasurementResult:
    """As a page sends one: runs and no verdict."""
    runs = measurement_pb2.RunSeries(
        wall_ms=[2.0 + 0.001 * (index % 3) for index in range(rounds)], cpu_ms=[0.0] * rounds,
        rounds=list(range(rounds)), inner_count=1,
    )  # fmt: skip
    raw = measurement_pb2.RawMeasurement(
        candidate=runs, anchor=measurement_pb2.RunSeries(inner_count=1),
        stop_reason=measurement_pb2.RawMeasurement.StopReason.CONVERGED,
    )  # fmt: skip
    return measurement_pb2.MeasurementResult(raw=raw, digest=digest, evidence={"visibility": "visible"})
