"""Files of models, each stored under the SHA-256 of its content."""

__all__ = ["ArtifactFolder", "ArtifactWriter", "check_sha256", "sha256_of_file"]

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from fleetnas_controller.jobs import Artifact
from fleetnas_search_spaces.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1 << 20


class ArtifactFolder:
    """A folder of immutable files. Several processes may use it: a file appears whole or not at all."""

    def __init__(self, folder: Path, *, max_bytes: int = 512 << 20) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, sha256: str) -> Artifact:
        """Raises NotFoundError, InvalidArgumentError when ``sha256`` is none."""
        path = self.path(sha256)
        try:
            return Artifact(sha256, path.stat().st_size)
        except FileNotFoundError:
            raise NotFoundError(f"no file {sha256} is stored here. Upload it first.") from None

    def path(self, sha256: str) -> Path:
        """Where the file is, or would be."""
        return self._folder / check_sha256(sha256)

    def writer(self, announced: Artifact) -> "ArtifactWriter":
        """A context in which the content of ``announced`` is written.

        Raises:
            ResourceExhaustedError: It is larger than this folder allows.
            InvalidArgumentError: Its SHA-256 or size is none.
        """
        check_sha256(announced.sha256)
        if announced.size_bytes < 0:
            raise InvalidArgumentError(f"`size_bytes` (={announced.size_bytes}) must not be negative.")
        if announced.size_bytes > self._max_bytes:
            raise ResourceExhaustedError(
                f"file {announced.sha256[:12]} has {announced.size_bytes} bytes, this controller takes "
                f"{self._max_bytes} at most. Send a smaller file or raise its limit."
            )
        return ArtifactWriter(self._folder, announced)

    def chunks(self, sha256: str, chunk_bytes: int) -> Iterator[bytes]:
        """The content in order; raises NotFoundError before the first chunk."""
        self.get(sha256)
        with self.path(sha256).open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk


class ArtifactWriter:
    """Takes the content in pieces; the file appears when the context ends well and all was as announced."""

    def __init__(self, folder: Path, announced: Artifact) -> None:
        self._folder = folder
        self._announced = announced
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> Self:
        with _disk_errors(self._folder):
            self._file = tempfile.NamedTemporaryFile(dir=self._folder, prefix=".part-", delete=False)
        return self

    def write(self, chunk: bytes) -> None:
        """Raises DataLossError as soon as there is more than was announced."""
        self._size_bytes += len(chunk)
        if self._size_bytes > self._announced.size_bytes:
            raise DataLossError(self._complaint("more than"))
        self._hash.update(chunk)
        with _disk_errors(self._folder):
            self._file.write(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _disk_errors(self._folder):
                self._file.close()
            if kind is None:
                self._keep()
        finally:
            Path(self._file.name).unlink(missing_ok=True)

    def _keep(self) -> None:
        if self._size_bytes < self._announced.size_bytes:
            raise DataLossError(self._complaint("only"))
        if self._hash.hexdigest() != self._announced.sha256:
            raise DataLossError(
                f"file {self._announced.sha256[:12]} arrived with SHA-256 {self._hash.hexdigest()[:12]}. "
                "Send it again."
            )
        Path(self._file.name).replace(self._folder / self._announced.sha256)

    def _complaint(self, relation: str) -> str:
        limit = self._announced.size_bytes
        count = f"{self._size_bytes} of {limit}" if relation == "only" else str(limit)
        return f"file {self._announced.sha256[:12]} arrived with {relation} {count} bytes. Send it again."


def check_sha256(sha256: str) -> str:
    """Raises InvalidArgumentError unless it is 64 lower-case hexadecimal digits."""
    if not _SHA256.fullmatch(sha256):
        raise InvalidArgumentError(f"'{sha256[:80]}' is no SHA-256: 64 lower-case hexadecimal digits are.")
    return sha256


def sha256_of_file(path: Path) -> Artifact:
    """Raises NotFoundError when there is no such file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
            return Artifact(digest.hexdigest(), os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise NotFoundError(f"no file '{path}' to upload. Check the path.") from None


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceExhaustedError(
                f"no space left in {folder}. Free some and send it again."
            ) from error
        raise
