"""Files with secrets: whole or not there, and readable by their owner only."""

__all__ = ["make_private", "write_private"]

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Replaces what is there."""
    with _written_aside(path, content) as partial:
        partial.replace(path)


def make_private(path: Path, content: bytes) -> None:
    """Leaves what is there: of several that make it at once, one does."""
    with _written_aside(path, content) as partial, suppress(FileExistsError):
        os.link(partial, path)


@contextmanager
def _written_aside(path: Path, content: bytes) -> Iterator[Path]:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)
