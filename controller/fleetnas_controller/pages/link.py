"""A page's WebSocket as the link of an agent: one protobuf message in each binary frame."""

__all__ = ["CLOSE_CODES", "PROTOCOL", "PageLink", "check_page", "close_code"]

import asyncio

from aiohttp import WSMsgType, web
from google.protobuf.message import DecodeError

from fleetnas_controller.pages.judging import PageJudge
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces import errors

PROTOCOL = "fleetnas.v1"
_KIND = "page"
# Reports under way to their verdict; a page has one job at a time.
_MOST_JUDGED = 8

# The first that fits wins. 4000 and more are a program's own (RFC 6455); agents/page/src/session.js knows them.
CLOSE_CODES: tuple[tuple[type[errors.FleetNASError], int], ...] = (
    (errors.InvalidArgumentError, 4400),
    (errors.PermissionDeniedError, 4403),
    (errors.DeadlineExceededError, 4408),
    (errors.FailedPreconditionError, 4409),
    (errors.ResourceExhaustedError, 4429),
    (errors.UnavailableError, 4503),
)
_OTHER_CODE = 4500


def close_code(error: errors.FleetNASError) -> int:
    return next((code for kind, code in CLOSE_CODES if isinstance(error, kind)), _OTHER_CODE)


def check_page(description: fleet_pb2.DeviceDescription) -> None:
    """Raises InvalidArgumentError for a device of another kind: the gateway judges what pages time, and no other."""
    if description.kind != _KIND:
        raise errors.InvalidArgumentError(f"`kind` (={description.kind[:80]}) must be '{_KIND}' here.")


class PageLink:
    """An ``AgentLink``. Run ``receive`` beside the session that reads from it."""

    def __init__(self, socket: web.WebSocketResponse, peer: str, judge: PageJudge) -> None:
        self._socket = socket
        self._peer = peer
        self._judge = judge
        self._inbox: asyncio.Queue[fleet_pb2.AgentMessage | errors.FleetNASError | None] = asyncio.Queue(64)
        self._judging: set[asyncio.Task[None]] = set()

    @property
    def peer(self) -> str:
        return self._peer

    async def read(self) -> fleet_pb2.AgentMessage | None:
        message = await self._inbox.get()
        if isinstance(message, errors.FleetNASError):
            raise message
        return message

    async def write(self, message: fleet_pb2.ControllerMessage) -> None:
        try:
            await self._socket.send_bytes(message.SerializeToString())
        except ConnectionError as error:
            raise errors.UnavailableError(
                "the page's connection was lost while it was written to."
            ) from error

    async def receive(self) -> None:
        """Passes on what arrives; heartbeats do not wait for the verdict of a report that came before them."""
        try:
            while (message := await self._next()) is not None:
                kind = message.WhichOneof("kind")
                if kind == "hello":
                    check_page(message.hello.description)
                if kind == "report":
                    self._judge_aside(message.report)
                else:
                    await self._inbox.put(message)
            # A page that is hidden reports its fault and leaves at once: its last word counts.
            await asyncio.gather(*self._judging)
            await self._inbox.put(None)
        except errors.FleetNASError as error:
            await self._inbox.put(error)
        finally:
            for task in self._judging:
                task.cancel()

    async def _next(self) -> fleet_pb2.AgentMessage | None:
        frame = await self._socket.receive()
        if frame.type is WSMsgType.BINARY:
            try:
                return fleet_pb2.AgentMessage.FromString(frame.data)
            except DecodeError as error:
                raise errors.InvalidArgumentError(
                    f"a frame of {len(frame.data)} bytes holds no message. Reload the page."
                ) from error
        if frame.type is WSMsgType.TEXT:
            raise errors.InvalidArgumentError("a text frame came; messages are binary. Reload the page.")
        if frame.type is WSMsgType.ERROR:
            raise errors.InvalidArgumentError(f"a broken frame came ({frame.data}). Reload the page.")
        return None

    def _judge_aside(self, report: fleet_pb2.Report) -> None:
        if len(self._judging) >= _MOST_JUDGED:
            raise errors.ResourceExhaustedError(
                f"{_MOST_JUDGED} reports are under way already. Wait for their answers."
            )
        task = asyncio.create_task(self._judged(report))
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    async def _judged(self, report: fleet_pb2.Report) -> None:
        await self._inbox.put(fleet_pb2.AgentMessage(report=await self._judge.judged(report)))
