"""Messages between the agent and its worker process: a kind, a length, bytes."""

__all__ = ["FrameKind", "pack_frame", "read_frame", "read_frame_async"]

import asyncio
import struct
from enum import IntEnum
from typing import BinaryIO

_HEADER = struct.Struct("<BI")
_MAX_BYTES = 256 << 20


class FrameKind(IntEnum):
    """JOB goes to the worker, the others come back: the runtime is alive, the result, or a fault."""

    JOB = 1
    PROGRESS = 2
    RESULT = 3
    FAULT = 4


def pack_frame(kind: FrameKind, payload: bytes = b"") -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def read_frame(stream: BinaryIO) -> tuple[FrameKind, bytes] | None:
    """The next frame; None at the end of the stream."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    kind, length = _HEADER.unpack(header)
    payload = stream.read(length)
    return (FrameKind(kind), payload) if len(payload) == length else None


async def read_frame_async(stream: asyncio.StreamReader) -> tuple[FrameKind, bytes] | None:
    """As ``read_frame``; None too for what is no frame, for a crashing runtime may write anything."""
    try:
        kind, length = _HEADER.unpack(await stream.readexactly(_HEADER.size))
        if length > _MAX_BYTES or kind not in FrameKind.__members__.values():
            return None
        return FrameKind(kind), await stream.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
