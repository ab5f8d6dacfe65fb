"""Files with secrets: whole or not there, and readable by their owner only."""

__all__ = ["make_private", "write_private"]

import os
from contextlib import suppress
from pathlib import Path

from fleetnas_search_spaces.whole_files import write_whole, written_aside

_OWNER_ONLY = 0o600


def write_private(path: Path, content: bytes) -> None:
    """Replaces what is there."""
    write_whole(path, content, _OWNER_ONLY)


def make_private(path: Path, content: bytes) -> None:
    """Leaves what is there: of several that make it at once, one does."""
    with written_aside(path, content, _OWNER_ONLY) as partial, suppress(FileExistsError):
        os.link(partial, path)
