"""What an agent's messages pass through on their way."""

__all__ = ["DirectLink", "Link", "LinkLostError"]

from collections.abc import AsyncIterator
from typing import Protocol

from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import UnavailableError


class LinkLostError(UnavailableError):
    """The connection is to be treated as broken."""


class Link(Protocol):
    """Passes on what an agent sends and receives. Every call may raise ``LinkLostError``."""

    def outgoing(self, message: fleet_pb2.AgentMessage) -> AsyncIterator[fleet_pb2.AgentMessage]:
        """What goes out for ``message``, in order."""
        ...

    async def incoming(self, message: fleet_pb2.ControllerMessage) -> None:
        """``message`` arrived; returns when the agent may see it."""
        ...

    async def part(self, chunk: bytes) -> bytes:
        """What arrives of the next part of a file."""
        ...


class DirectLink:
    """The wire as it is."""

    async def outgoing(self, message: fleet_pb2.AgentMessage) -> AsyncIterator[fleet_pb2.AgentMessage]:
        yield message

    async def incoming(self, message: fleet_pb2.ControllerMessage) -> None:
        return None

    async def part(self, chunk: bytes) -> bytes:
        return chunk
