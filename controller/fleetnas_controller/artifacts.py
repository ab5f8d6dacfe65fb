"""Files of models, each stored under the SHA-256 of its content."""

__all__ = ["ArtifactFolder", "ArtifactWriter", "check_sha256", "sha256_of_file"]

import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from fleetnas_controller.jobs import Artifact
from fleetnas_search_spaces.errors import (
    DataLossError,
    FailedPreconditionError,
    FleetNASError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1 << 20
_PARTIAL = ".part-"
_PARTIAL_KEPT_S = 7 * 86_400.0


class ArtifactFolder:
    """A folder of immutable files. Several processes may use it: a file appears whole or not at all."""

    def __init__(self, folder: Path, *, max_bytes: int = 512 << 20) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob(f"{_PARTIAL}*"):
            if time.time() - partial.stat().st_mtime > _PARTIAL_KEPT_S:
                partial.unlink(missing_ok=True)

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

    def received_bytes(self, sha256: str) -> int:
        """How much of a file an upload that broke off has left here."""
        try:
            return (self._folder / f"{_PARTIAL}{check_sha256(sha256)}").stat().st_size
        except FileNotFoundError:
            return 0

    def writer(self, announced: Artifact, offset_bytes: int = 0) -> "ArtifactWriter":
        """A context in which the content of ``announced`` is written.

        Args:
            offset_bytes: The content before is here already, from an upload that broke off; 0 begins anew.

        Raises:
            ResourceExhaustedError: It is larger than this folder allows.
            InvalidArgumentError: Its SHA-256 or size is none.
            FailedPreconditionError: Another upload of it is under way, or broke off elsewhere.
        """
        check_sha256(announced.sha256)
        if announced.size_bytes < 0:
            raise InvalidArgumentError(f"`size_bytes` (={announced.size_bytes}) must not be negative.")
        if announced.size_bytes > self._max_bytes:
            raise ResourceExhaustedError(
                f"file {announced.sha256[:12]} has {announced.size_bytes} bytes, this controller takes "
                f"{self._max_bytes} at most. Send a smaller file or raise its limit."
            )
        return ArtifactWriter(self._folder, announced, offset_bytes)

    def chunks(self, sha256: str, chunk_bytes: int, offset_bytes: int = 0) -> Iterator[bytes]:
        """The content in order, from ``offset_bytes`` on; raises NotFoundError before the first chunk."""
        size_bytes = self.get(sha256).size_bytes
        if not 0 <= offset_bytes <= size_bytes:
            raise InvalidArgumentError(
                f"`offset_bytes` (={offset_bytes}) must lie between 0 and {size_bytes}."
            )
        with self.path(sha256).open("rb") as file:
            file.seek(offset_bytes)
            while chunk := file.read(chunk_bytes):
                yield chunk


class ArtifactWriter:
    """Takes the content in pieces; the file appears when the context ends well and all was as announced.

    What a connection that breaks has brought stays and may be gone on with; wrong content does not.
    """

    def __init__(self, folder: Path, announced: Artifact, offset_bytes: int = 0) -> None:
        self._folder = folder
        self._announced = announced
        self._partial = folder / f"{_PARTIAL}{announced.sha256}"
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._offset_bytes = offset_bytes

    def __enter__(self) -> Self:
        with _disk_errors(self._folder):
            self._file = self._partial.open("a+b")
            try:
                self._claim()
                self._go_on()
            except BaseException:
                self._file.close()
                raise
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
                self._file.flush()
            if kind is None:
                self._keep()
        except FleetNASError:
            self._partial.unlink(missing_ok=True)
            raise
        finally:
            if kind is not None and issubclass(kind, FleetNASError):
                self._partial.unlink(missing_ok=True)
            self._file.close()

    def _claim(self) -> None:
        """Makes the partial file this writer's own; two uploads of one file from the beginning both go on."""
        try:
            # The system lets go of it when the process ends, however it does.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if self._offset_bytes:
                raise FailedPreconditionError(
                    f"file {self._announced.sha256[:12]} is being sent by somebody else. Begin anew."
                ) from None
            self._file.close()
            self._partial = self._partial.with_name(f"{self._partial.name}-{secrets.token_hex(4)}")
            self._file = self._partial.open("a+b")

    def _go_on(self) -> None:
        """Takes what is there already into account."""
        if self._offset_bytes == 0:
            self._file.truncate(0)
        self._file.seek(0)
        while chunk := self._file.read(_READ_BYTES):
            self._hash.update(chunk)
            self._size_bytes += len(chunk)
        if self._size_bytes != self._offset_bytes:
            if self._size_bytes == 0:
                self._partial.unlink(missing_ok=True)
            raise FailedPreconditionError(
                f"the upload of file {self._announced.sha256[:12]} stands at {self._size_bytes} bytes, not at "
                f"{self._offset_bytes}. Ask again where it stands, or begin anew."
            )

    def _keep(self) -> None:
        if self._size_bytes < self._announced.size_bytes:
            raise DataLossError(self._complaint("only"))
        if self._hash.hexdigest() != self._announced.sha256:
            raise DataLossError(
                f"file {self._announced.sha256[:12]} arrived with SHA-256 {self._hash.hexdigest()[:12]}. "
                "Send it again."
            )
        self._partial.replace(self._folder / self._announced.sha256)

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
