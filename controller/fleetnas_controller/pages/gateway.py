"""The HTTP server of the pages: their files, enrolment, the files of their jobs, and their sessions."""

__all__ = ["PageGateway"]

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, web
from google.protobuf.message import DecodeError

from fleetnas_controller.agent_sessions import AgentSessions
from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.enrolment import AttemptLimit, Enrolment, digest_of
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.holding import check_holder
from fleetnas_controller.pages.judging import PageJudge
from fleetnas_controller.pages.link import PROTOCOL, PageLink, check_page, close_code
from fleetnas_controller.pages.networks import network_facts
from fleetnas_controller.pages.settings import PageSettings, page_host
from fleetnas_controller.pages.site import PageSite
from fleetnas_controller.servicers.calls import StreamLimit
from fleetnas_controller.wire import record_from_pb, to_pb
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces import errors

_log = logging.getLogger(__name__)
_CREDENTIAL = "fleetnas.credential."
_MAX_ENROLMENT_BYTES = 64 << 10
# A result of 20,000 runs beside as many of the anchor takes 0.8 MB.
_MAX_FRAME_BYTES = 4 << 20
_MAX_REASON_BYTES = 123
_PING_S = 20.0
_HEADERS = {
    "Content-Security-Policy": (
        # Compiling WebAssembly counts as eval in browsers as old as those this page is for.
        "default-src 'self'; script-src 'self' 'unsafe-eval' blob:; worker-src 'self' blob:; "
        "connect-src 'self' ws: wss:; img-src data:; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STATUS: tuple[tuple[type[errors.FleetNASError], int], ...] = (
    (errors.PermissionDeniedError, 403),
    (errors.NotFoundError, 404),
    (errors.ResourceExhaustedError, 429),
    (errors.InvalidArgumentError, 422),
    (errors.AlreadyExistsError, 409),
)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Peer:
    """Whom ``StreamLimit`` counts: a phone, which has no connection that lasts longer than its streams."""

    def __init__(self, request: web.Request) -> None:
        self._host = request.remote or "unknown"

    def peer(self) -> str:
        return self._host


class PageGateway:
    """Serves pages until closed; the same fleet as over gRPC.

    Args:
        certificate: None: plain HTTP.
    """

    def __init__(
        self,
        settings: PageSettings,
        site: PageSite,
        fleet: Fleet,
        enrolment: Enrolment,
        artifacts: ArtifactFolder,
        sessions: AgentSessions,
        judge: PageJudge,
        attempts: AttemptLimit,
        streams: StreamLimit,
        certificate: ssl.SSLContext | None = None,
        authority_pem: bytes = b"",
    ) -> None:
        self._settings = settings
        self._site = site
        self._fleet = fleet
        self._enrolment = enrolment
        self._artifacts = artifacts
        self._sessions = sessions
        self._judge = judge
        self._attempts = attempts
        self._streams = streams
        self._certificate = certificate
        self._authority_pem = authority_pem
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def start(self) -> str:
        """Begins to serve; returns the address of the page, without a token.

        Raises:
            UnavailableError: The port is in use.
        """
        application = web.Application(client_max_size=_MAX_ENROLMENT_BYTES, middlewares=[_answering])
        application.add_routes(
            [
                web.post("/enroll", self._enrol),
                web.get("/session", self._session),
                web.get("/files/{sha256}", self._file),
                web.get("/networks/{sha256}", self._network),
                web.get("/networks/{sha256}/inputs/{index}", self._input),
                web.get("/authority.crt", self._authority),
                web.get("/{address:.*}", self._page),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        address = self._settings.address
        site = web.TCPSite(
            self._runner, address.host.strip("[]"), address.port, ssl_context=self._certificate
        )
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise errors.UnavailableError(
                f"cannot serve pages on {address} ({error.strerror}). Choose another --pages."
            ) from error
        self._port = self._runner.addresses[0][1]
        return self.link("").partition("#")[0]

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.SERVICE_RESTART, message=b"the controller stops")
        if self._runner is not None:
            await self._runner.cleanup()

    def link(self, secret: str) -> str:
        """The link for a page that is to use that join token."""
        return self._settings.link(page_host(self._settings.address), self._port, secret)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        file = self._site.file(request.match_info["address"])
        # The names stay while the files change with a version, so that a browser has to ask whether its copy is new.
        headers = {"Content-Type": file.content_type, "Cache-Control": "no-cache"}
        return web.FileResponse(file.path, headers=headers)

    async def _authority(self, request: web.Request) -> web.StreamResponse:
        if not self._authority_pem:
            raise errors.NotFoundError("these pages are not encrypted: there is no authority to trust.")
        return web.Response(body=self._authority_pem, content_type="application/x-x509-ca-cert")

    async def _enrol(self, request: web.Request) -> web.StreamResponse:
        host = request.remote or "unknown"
        self._attempts.check(host)
        try:
            message = fleet_pb2.EnrollRequest.FromString(await request.read())
        except DecodeError as error:
            raise errors.InvalidArgumentError("this is no enrolment. Reload the page.") from error
        check_page(message.description)
        description = record_from_pb(message.description, DeviceDescription)
        try:
            if not self._enrolment.check_token(message.join_token).device_id:
                raise errors.PermissionDeniedError(
                    "this join token is not for a page. Make one that is: fleetnas device token --page"
                )
            device, credential = self._fleet.enrol(message.join_token, message.device_id, description)
        except errors.PermissionDeniedError:
            self._attempts.refused(host)
            raise
        answer = fleet_pb2.EnrollResponse(device=to_pb(device), credential=credential.text)
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    async def _session(self, request: web.Request) -> web.StreamResponse:
        offered = _offered(request)
        socket = web.WebSocketResponse(
            # One of those it offered in any case: else a browser would not show the page why it was refused.
            protocols=(PROTOCOL, *offered[:1]),
            max_msg_size=_MAX_FRAME_BYTES,
            heartbeat=_PING_S,
            timeout=5.0,
            compress=False,
        )
        if not socket.can_prepare(request).ok:
            raise errors.InvalidArgumentError("a session is a WebSocket. Open the page in a browser.")
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            if PROTOCOL not in offered:
                raise errors.InvalidArgumentError(
                    f"the page does not speak '{PROTOCOL}': it is of another version. Reload it."
                )
            await self._served(request, socket)
        except errors.FleetNASError as error:
            # Browsers show a page no more of a refused connection than the code and reason it was closed with.
            await socket.close(code=close_code(error), message=_cut(str(error)))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _served(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        device = self._device(request, _credential_offered(request))
        with self._streams.stream(_Peer(request)):
            link = PageLink(socket, f"page at {request.remote}", self._judge)
            receiving = asyncio.create_task(link.receive())
            try:
                await self._sessions.serve(device, link)
            finally:
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        sha256 = self._held(request)
        self._artifacts.get(sha256)
        return web.FileResponse(
            self._artifacts.path(sha256), headers={"Content-Type": "application/octet-stream"}
        )

    async def _network(self, request: web.Request) -> web.StreamResponse:
        facts = network_facts(self._artifacts.path(self._held(request)))
        inputs = [{"name": one.name, "type": one.kind, "dims": list(one.dims)} for one in facts.inputs]
        return web.json_response({"inputs": inputs, "precision": facts.precision.name})

    async def _input(self, request: web.Request) -> web.StreamResponse:
        facts = network_facts(self._artifacts.path(self._held(request)))
        index = request.match_info["index"]
        if not index.isdecimal() or int(index) >= len(facts.inputs):
            raise errors.NotFoundError(f"the network has no input {index[:20]}. Reload the page.")
        content = await asyncio.to_thread(facts.inputs[int(index)].content)
        return web.Response(body=content, content_type="application/octet-stream")

    def _held(self, request: web.Request) -> str:
        """The digest that is asked for, of a file that the asking page's own job has."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        device = self._device(request, token if scheme == "Bearer" else "")
        sha256 = request.match_info["sha256"]
        check_holder(self._fleet, device, sha256)
        return sha256

    def _device(self, request: web.Request, credential: str) -> str:
        host = request.remote or "unknown"
        try:
            return self._enrolment.device_of(digest_of(credential) if credential else "")
        except errors.PermissionDeniedError as error:
            # Only now: somebody who guesses must not lock out the pages behind the same router.
            self._attempts.check(host)
            self._attempts.refused(host)
            raise errors.PermissionDeniedError(
                "this page is no device of the fleet any more. Open a new link of 'fleetnas device token --page'."
            ) from error


@web.middleware
async def _answering(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """An error of ours is the status it stands for and one line; nothing else of it goes out."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except errors.FleetNASError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        response = web.json_response({"error": str(error)}, status=status)
    except web.HTTPRequestEntityTooLarge:
        text = f"more than {_MAX_ENROLMENT_BYTES} bytes came. Reload the page."
        response = web.json_response({"error": text}, status=413)
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


def _offered(request: web.Request) -> list[str]:
    """The protocols that a WebSocket may speak."""
    offered = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return [one for one in offered if one]


def _credential_offered(request: web.Request) -> str:
    """Browsers can set no header of a WebSocket but the list of protocols."""
    found = [one.removeprefix(_CREDENTIAL) for one in _offered(request) if one.startswith(_CREDENTIAL)]
    return found[0] if found else ""


def _cut(text: str) -> bytes:
    """As much as a close frame holds, without half a character at its end."""
    return text.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
