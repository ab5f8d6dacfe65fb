"""Messages between agent and worker."""

import asyncio
import io

from hypothesis import given
from hypothesis import strategies as st

from fleetnas_agents.frames import FrameKind, pack_frame, read_frame, read_frame_async


def read_async(content: bytes) -> tuple[FrameKind, bytes] | None:
    async def read() -> tuple[FrameKind, bytes] | None:
        stream = asyncio.StreamReader()
        stream.feed_data(content)
        stream.feed_eof()
        return await read_frame_async(stream)

    return asyncio.run(read())


@given(st.sampled_from(FrameKind), st.binary(max_size=100))
def test_frame_comes_back_either_way(kind: FrameKind, payload: bytes) -> None:
    packed = pack_frame(kind, payload)
    assert read_frame(io.BytesIO(packed)) == read_async(packed) == (kind, payload)


@given(st.binary(max_size=40), st.data())
def test_truncated_frame_is_the_end(payload: bytes, data: st.DataObject) -> None:
    packed = pack_frame(FrameKind.RESULT, payload)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    assert read_frame(io.BytesIO(cut)) is None
    assert read_async(cut) is None


@given(st.binary(max_size=60))
def test_whatever_a_crashing_runtime_writes_is_a_frame_or_none(content: bytes) -> None:
    read = read_async(content)
    assert read is None or isinstance(read[0], FrameKind)
