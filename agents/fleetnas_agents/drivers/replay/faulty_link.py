"""A connection that breaks, drags, repeats itself and lies, as its device's faults say."""

__all__ = ["FaultyLink"]

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from fleetnas_agents.drivers.replay.faults import DeviceFaults, FaultName
from fleetnas_agents.link import LinkLostError
from fleetnas_protos.v1 import fleet_pb2

_MOMENTS = ("assignment", "before report", "after report")


class FaultyLink:
    """A ``Link`` that keeps the trace of its device and plays the faults between it and the controller.

    Args:
        clock: Monotonic seconds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        faults: DeviceFaults,
        trace: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._faults = faults
        self._trace = trace
        self._clock = clock
        self._sleep = sleep
        self._silent_until_s = 0.0
        self._breaks_at = ""
        self._before: fleet_pb2.Report | None = None

    async def outgoing(self, message: fleet_pb2.AgentMessage) -> AsyncIterator[fleet_pb2.AgentMessage]:
        silent_s = self._silent_until_s - self._clock()
        if silent_s > 0.0:
            await self._sleep(silent_s)
        await self._drag()
        if message.WhichOneof("kind") != "report":
            yield message
            return
        self._break("before report")
        self._note("sent", message.report.lease, _outcome(message.report))
        yield message
        self._break("after report")
        for _ in range(round(self._faults.take(FaultName.DUPLICATE) or 0.0)):
            yield message
        if self._faults.take(FaultName.STALE) is not None:
            for report in self._stale(message.report):
                self._note("forged", report.lease)
                yield fleet_pb2.AgentMessage(report=report)
        self._before = message.report

    async def incoming(self, message: fleet_pb2.ControllerMessage) -> None:
        kind = message.WhichOneof("kind")
        if kind == "assignment":
            self._begin()
            self._note("assigned", message.assignment.lease)
            self._break("assignment")
        elif kind == "acknowledgement":
            answer = message.acknowledgement
            self._note("accepted" if answer.accepted else "refused", answer.lease, answer.reason)
        elif kind == "cancellation":
            self._note("cancelled", message.cancellation.lease, message.cancellation.reason)
        await self._drag()

    async def part(self, chunk: bytes) -> bytes:
        await self._drag()
        if self._faults.take(FaultName.TRUNCATE) is not None:
            return chunk[: len(chunk) // 2]
        return chunk

    def _begin(self) -> None:
        self._faults.next_job()
        self._breaks_at = ""
        if self._faults.size(FaultName.DISCONNECT) is not None:
            self._breaks_at = self._faults.rng.choice(_MOMENTS)
        silent_s = self._faults.take(FaultName.SILENCE)
        if silent_s is not None:
            self._silent_until_s = self._clock() + silent_s

    def _break(self, moment: str) -> None:
        if self._breaks_at == moment:
            self._breaks_at = ""
            raise LinkLostError("the connection broke (played)")

    async def _drag(self) -> None:
        delay_s = self._faults.size(FaultName.SLOW_LINK)
        if delay_s:
            await self._sleep(delay_s)

    def _stale(self, report: fleet_pb2.Report) -> list[fleet_pb2.Report]:
        """The result under a token before its own, and the report before this one once more."""
        older = fleet_pb2.Report()
        older.CopyFrom(report)
        older.lease.fencing_token -= 1
        return [older] if self._before is None else [older, self._before]

    def _note(self, event: str, lease: fleet_pb2.Lease, detail: str = "") -> None:
        self._trace(event, lease.measurement, lease.fencing_token, detail)


def _outcome(report: fleet_pb2.Report) -> str:
    """``"result"``, or the kind of the fault."""
    if report.WhichOneof("outcome") == "result":
        return "result"
    kind: str = type(report.fault).Kind.Name(report.fault.kind)
    return kind.lower()
