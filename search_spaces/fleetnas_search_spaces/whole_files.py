"""Files that are there whole or not at all, whenever their writer is killed."""

__all__ = ["reserved", "write_whole", "written_aside"]

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replaces what is there.

    Args:
        mode: Of the file, less what the process's mask takes away.

    Raises:
        OSError: It cannot be written; nothing is left of the attempt.
    """
    with written_aside(path, content, mode) as partial:
        partial.replace(path)


@contextmanager
def written_aside(path: Path, content: bytes, mode: int = 0o666) -> Iterator[Path]:
    """The content beside ``path``, under a name nobody can know before, on the disk already; gone afterwards."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name that somebody asked for
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reserved(path: Path, size_bytes: int, mode: int = 0o666) -> Iterator[Callable[[bytes], None]]:
    """Room for content that comes only once, held before it is asked for.

    Yields:
        Replaces what is at ``path`` by its argument, which takes no more of the disk up to ``size_bytes``.

    Raises:
        OSError: There is no such room; nothing is left of the attempt.
    """
    with written_aside(path, bytes(size_bytes), mode) as partial:

        def keep(content: bytes) -> None:
            with partial.open("r+b") as file:
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)

        yield keep
