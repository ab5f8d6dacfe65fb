"""Waiting for what blocks, a board that boots or a phone that is asleep, without being deaf to a stop meanwhile."""

__all__ = ["patiently"]

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")

_LAST_WORDS_S = 0.5


async def patiently(
    work: Callable[[], Result], undo: Callable[[Result], None] = lambda result: None
) -> Result:
    """What ``work`` gives, which blocks in a thread of its own.

    A cancelled wait does not end ``work``: it gets half a second, in which ``undo`` takes back what it still did.
    After that nobody waits for it any more, the end of the process neither, so ``work`` must bear to be cut off.
    """
    done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    # Heard in any case: else asyncio complains of an error that comes after everybody has gone.
    done.add_done_callback(lambda one: one.exception())
    # Not the loop's own threads: the interpreter waits for those when it ends.
    threading.Thread(target=_run, args=(work, done), daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait({done}, timeout=_LAST_WORDS_S)
        if done.done() and done.exception() is None:
            undo(done.result())
        raise


def _run(work: Callable[[], Result], done: "asyncio.Future[Result]") -> None:
    try:
        answer: Callable[[], None] = partial(done.set_result, work())
    except BaseException as error:  # noqa: BLE001 - it is for whoever waits
        answer = partial(done.set_exception, error)
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        done.get_loop().call_soon_threadsafe(answer)
