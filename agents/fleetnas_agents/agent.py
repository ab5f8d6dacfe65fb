"""The agent: dials the controller, takes jobs, reports, and comes back for ever."""

__all__ = ["Agent", "AgentSettings"]

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio as aio

from fleetnas_agents.driver import Driver
from fleetnas_agents.jobs import DeviceDescription, MeasureError
from fleetnas_agents.link import DirectLink, Link, LinkLostError
from fleetnas_agents.membership import Membership
from fleetnas_agents.patience import patiently
from fleetnas_agents.state import AgentState
from fleetnas_agents.wire import description_to_pb, job_of, lease_of, lease_to_pb
from fleetnas_agents.work import Work
from fleetnas_protos.join import JoinText
from fleetnas_protos.v1 import artifact_pb2, artifact_pb2_grpc, fleet_pb2, fleet_pb2_grpc
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    PermissionDeniedError,
)

_log = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0
_NO_TOKEN = JoinText("")
_REFUSED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How an agent behaves.

    Attributes:
        controller: ``HOST:PORT``.
        device_id: The id to enrol under; empty lets the controller choose.
        backoff_s, backoff_cap_s: First and longest wait before dialling again; doubled in between, with jitter.
    """

    controller: str
    device_id: str = ""
    backoff_s: float = 0.2
    backoff_cap_s: float = 15.0


class Agent:
    """One device's link to the fleet.

    Args:
        description: What ``driver`` says of its device.
        join: What ``fleetnas device token`` printed; empty when the state holds a credential already.
        link: What messages pass through; the wire as it is unless given.
    """

    def __init__(
        self,
        driver: Driver,
        description: DeviceDescription,
        state: AgentState,
        settings: AgentSettings,
        join: JoinText = _NO_TOKEN,
        link: Link | None = None,
    ) -> None:
        self._state = state
        self._settings = settings
        self._link = link or DirectLink()
        self._description = description
        self._membership = Membership(state, settings.controller, join, settings.device_id, description)
        self._work = Work(driver, state, self._download, self._offer)
        self._channel: aio.Channel | None = None
        self._outbox: asyncio.Queue[fleet_pb2.AgentMessage] = asyncio.Queue()
        self._heard_s = time.monotonic()
        self._lease_s = 10.0
        self._heartbeat_s = 2.0
        self._welcomed = asyncio.Event()
        self._was_welcome = False

    async def run(self) -> None:
        """Serves until cancelled.

        Raises:
            PermissionDeniedError: The controller refuses this agent, and there is no token to enrol it with.
            FailedPreconditionError: One of them encrypts and the other does not, or they are of two fleets.
            InvalidArgumentError: It cannot enrol under this id, or not at this address.
        """
        watchdog = asyncio.create_task(self._watch_lease())
        attempt = 0
        try:
            while True:
                begin_s = time.monotonic()
                reason = await self._session()
                # A session that lasted was a good one: the next try is soon again.
                attempt = 0 if time.monotonic() - begin_s > self._settings.backoff_cap_s else attempt + 1
                wait_s = self._wait_s(attempt)
                _log.warning(
                    "not connected to %s (%s); next try in %.1f s", self._settings.controller, reason, wait_s
                )
                await asyncio.sleep(wait_s)
        finally:
            watchdog.cancel()
            await self._work.close()

    async def _session(self) -> str:
        """One connection, from dialling to its end; returns why it ended."""
        membership = self._membership
        try:
            async with await membership.connect() as channel:
                self._channel = channel
                renewing = asyncio.create_task(membership.keep_fresh(channel))
                try:
                    stub = fleet_pb2_grpc.FleetServiceStub(channel)
                    return await self._talk(stub.Connect(metadata=membership.metadata))
                finally:
                    renewing.cancel()
        except FailedPreconditionError as error:
            if not membership.leave():
                raise
            return f"{error} Enrolling again"
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT and not membership.joined:
                raise InvalidArgumentError(str(error.details())) from error
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return await self._unanswered(error)
            if error.code() not in _REFUSED:
                return f"{error.code().name}: {error.details()}"
            if not membership.leave():
                raise PermissionDeniedError(
                    f"the controller refuses this agent: {error.details()}"
                ) from error
            return f"the credential no longer holds ({error.details()}); enrolling again"
        finally:
            self._channel = None

    async def _unanswered(self, error: aio.AioRpcError) -> str:
        """Why nobody answers; raises FailedPreconditionError where no later try helps.

        An agent that was welcome here before waits: whoever set the controller up otherwise may notice.
        """
        wrong = await patiently(self._membership.misunderstanding)
        if not wrong:
            return f"{error.code().name}: {error.details()}"
        if not self._was_welcome:
            raise FailedPreconditionError(wrong) from error
        return wrong

    async def _talk(self, call: Any) -> str:
        self._outbox = asyncio.Queue()
        self._welcomed.clear()
        reports = self._state.reports()
        held = [report.lease for report in reports]
        if self._work.lease is not None:
            held.append(lease_to_pb(self._work.lease))
        hello = fleet_pb2.Hello(description=description_to_pb(self._description), held=held)
        await call.write(fleet_pb2.AgentMessage(hello=hello))
        for report in reports:
            self._outbox.put_nowait(fleet_pb2.AgentMessage(report=report))
        self._heard_s = time.monotonic()
        tasks = [asyncio.create_task(one) for one in (self._read(call), self._write(call), self._beat())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # Whatever broke first: why the controller hung up is what the reader hears.
            await asyncio.wait(tasks[:1], timeout=_LAST_WORDS_S)
            done = [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            call.cancel()
        try:
            for task in done:
                task.result()
        except LinkLostError as error:
            return str(error)
        return "the controller closed the connection"

    async def _read(self, call: Any) -> None:
        while (message := await call.read()) is not aio.EOF:
            self._heard_s = time.monotonic()
            await self._link.incoming(message)
            await self._handle(message)
        if await call.code() is not grpc.StatusCode.OK:
            raise aio.AioRpcError(
                await call.code(),
                await call.initial_metadata(),
                await call.trailing_metadata(),
                details=await call.details(),
            )

    async def _handle(self, message: fleet_pb2.ControllerMessage) -> None:
        kind = message.WhichOneof("kind")
        if kind == "welcome":
            self._heartbeat_s = message.welcome.heartbeat_interval.ToNanoseconds() / 1e9
            self._lease_s = message.welcome.lease_duration.ToNanoseconds() / 1e9
            self._welcomed.set()
            self._was_welcome = True
            _log.info("connected as %s", message.welcome.device)
        elif kind == "assignment":
            await self._take(message.assignment)
        elif kind == "acknowledgement":
            self._state.drop_report(message.acknowledgement.lease)
            if not message.acknowledgement.accepted:
                lease, reason = message.acknowledgement.lease, message.acknowledgement.reason
                _log.info("%s: report not accepted, %s", lease.measurement, reason)
        elif kind == "cancellation":
            self._state.drop_report(message.cancellation.lease)
            await self._work.stop(message.cancellation.reason, lease_of(message.cancellation.lease))

    async def _take(self, assignment: fleet_pb2.Assignment) -> None:
        labels = assignment.request.labels
        ids = {key: labels[key] for key in ("search", "trial", "health_check") if key in labels}
        lease = {"job": assignment.lease.measurement, "fencing_token": assignment.lease.fencing_token}
        _log.info("took a job", extra={"event": "job", **lease, **ids})
        try:
            await self._work.begin(job_of(assignment))
        except MeasureError as error:
            self._work.report(lease_of(assignment.lease), error)

    async def _write(self, call: Any) -> None:
        while True:
            async for message in self._link.outgoing(await self._outbox.get()):
                await call.write(message)

    async def _beat(self) -> None:
        # Only the welcome says how often; a guess may be longer than the lease.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._welcomed.wait(), self._lease_s)
        while True:
            begin_s = time.monotonic()
            await asyncio.sleep(self._heartbeat_s)
            # The session has ended by now. A message into it would make grpc forget why: the reader is to hear that.
            if (late_s := time.monotonic() - begin_s) > self._lease_s:
                raise LinkLostError(f"this agent was held up for {late_s:.1f} s, longer than a lease")
            if self._is_silent():
                raise LinkLostError(f"the controller was not heard for {self._lease_s:g} s")
            held = [] if self._work.lease is None else [lease_to_pb(self._work.lease)]
            self._outbox.put_nowait(fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat(held=held)))

    def _is_silent(self) -> bool:
        return time.monotonic() - self._heard_s > self._lease_s

    async def _watch_lease(self) -> None:
        """A lease ends on this side too: what nobody renews for so long belongs to somebody else by now."""
        while True:
            await asyncio.sleep(0.25)
            if self._is_silent():
                await self._work.stop("the lease ran out, the controller is silent")

    def _offer(self, report: fleet_pb2.Report) -> None:
        self._outbox.put_nowait(fleet_pb2.AgentMessage(report=report))

    async def _download(self, sha256: str, offset_bytes: int) -> AsyncIterator[bytes]:
        if self._channel is None:
            raise MeasureError.infrastructure("the connection was lost before the files were there")
        stub = artifact_pb2_grpc.ArtifactServiceStub(self._channel)
        request = artifact_pb2.DownloadArtifactRequest(sha256=sha256, offset_bytes=offset_bytes)
        metadata = self._membership.metadata
        try:
            async for part in stub.DownloadArtifact(request, metadata=metadata, timeout=600.0):
                yield await self._link.part(part.chunk)
        except aio.AioRpcError as error:
            raise MeasureError.infrastructure(f"a file could not be fetched: {error.details()}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this job but its call was cancelled: the session ended and its channel was closed.
            raise MeasureError.infrastructure("the connection was lost while a file was fetched") from None

    def _wait_s(self, attempt: int) -> float:
        longest = min(self._settings.backoff_cap_s, self._settings.backoff_s * 2.0 ** min(attempt, 16))
        return longest * random.uniform(0.5, 1.0)
