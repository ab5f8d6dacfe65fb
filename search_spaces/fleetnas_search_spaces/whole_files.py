"""Files that are there whole or not at all, whenever their writer is killed."""

__all__ = ["write_whole", "written_aside"]

import os
import secrets
from collections.abc import Iterator
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
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)
