"""What an agent keeps on disk: its credential, reports that nobody acknowledged, model files."""

__all__ = ["AgentState"]

import errno
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from google.protobuf.message import DecodeError

from fleetnas_agents.jobs import FaultKind, Job, MeasureError, ModelFile
from fleetnas_protos.identity import Identity, parse_identity
from fleetnas_protos.v1 import fleet_pb2
from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError, ResourceExhaustedError
from fleetnas_search_spaces.whole_files import reserved, write_whole

_CACHE_BYTES = 1 << 30
_READ_BYTES = 1 << 20
# A key and two certificates have some 1,500.
_MEMBERSHIP_BYTES = 16 << 10
_CREDENTIAL = "credential"
_IDENTITY = "identity.pem"
_ATTEMPT = "joining"
_ATTEMPT_ID = re.compile(r"[0-9a-f]{32}")


class AgentState:
    """A folder of one agent. Files appear whole or not at all.

    Args:
        cache_bytes: Model files beyond this are dropped, the longest unused first.
    """

    def __init__(self, folder: Path, cache_bytes: int = _CACHE_BYTES) -> None:
        self._folder = folder
        self._cache_bytes = cache_bytes
        try:
            for name in ("cache", "reports", "jobs"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / "lock").touch()
        except OSError as error:
            raise FailedPreconditionError(
                f"the agent's folder '{folder}' cannot be used ({error.strerror}): choose another with --state-dir."
            ) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the folder for this process, and clears away what an earlier one left.

        Raises:
            FailedPreconditionError: Another agent works in it: each device needs a folder of its own.
        """
        with (self._folder / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FailedPreconditionError(
                    f"another agent works in '{self._folder}': choose another folder with --state-dir."
                ) from error
            self.clear()
            yield

    def clear(self) -> None:
        """Takes away the folders of jobs that an earlier process left; call it while nobody else works here."""
        for left in (self._folder / "jobs").iterdir():
            shutil.rmtree(left, ignore_errors=True)

    @property
    def credential(self) -> str:
        """Empty before enrolment."""
        try:
            return (self._folder / _CREDENTIAL).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""
        except (UnicodeDecodeError, OSError) as error:
            raise DataLossError(
                f"the credential in '{self._folder}' cannot be read ({error}). Delete it and enrol with a new token."
            ) from error

    @contextmanager
    def room_for_credential(self) -> Iterator[Callable[[str], None]]:
        """Room for a credential, to be held before it is asked for: it is given once.

        Yields:
            Keeps the credential.

        Raises:
            ResourceExhaustedError: There is no room.
        """
        with self._room_for(_CREDENTIAL) as keep:
            yield lambda credential: keep(credential.encode("ascii"))

    @contextmanager
    def room_for_identity(self) -> Iterator[Callable[[Identity], None]]:
        """As ``room_for_credential``, on an encrypted fleet."""
        with self._room_for(_IDENTITY) as keep:
            yield lambda identity: keep(identity.pem())

    def attempt_id(self) -> str:
        """Names the attempt to join that is under way, the same at the next start, until ``joined``.

        Raises:
            ResourceExhaustedError: It cannot be written.
        """
        path = self._folder / _ATTEMPT
        with suppress(OSError, UnicodeDecodeError):
            known = path.read_text(encoding="ascii")
            if _ATTEMPT_ID.fullmatch(known):
                return known
        self.keep_private(_ATTEMPT, uuid.uuid4().hex.encode("ascii"))
        return path.read_text(encoding="ascii")

    def joined(self) -> None:
        """The credential is kept: the next attempt to join is another one."""
        (self._folder / _ATTEMPT).unlink(missing_ok=True)

    def keep_private(self, name: str, content: bytes) -> None:
        """A file that nobody but the agent's user can read."""
        self._write(self._folder / name, content, mode=0o600)

    def forget_credential(self) -> None:
        (self._folder / _CREDENTIAL).unlink(missing_ok=True)
        (self._folder / _IDENTITY).unlink(missing_ok=True)

    @property
    def identity(self) -> Identity | None:
        """Key and certificate on an encrypted fleet; None before enrolment, and on other fleets."""
        path = self._folder / _IDENTITY
        try:
            return parse_identity(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataLossError(
                f"'{path}' is damaged ({error}). Delete it and enrol again with a new join token."
            ) from error

    def keep_report(self, report: fleet_pb2.Report) -> None:
        """Before it is sent: it is offered until the controller has answered it."""
        self._write(self._report_path(report.lease), report.SerializeToString())

    def drop_report(self, lease: fleet_pb2.Lease) -> None:
        self._report_path(lease).unlink(missing_ok=True)

    def reports(self) -> list[fleet_pb2.Report]:
        """Unacknowledged ones; a damaged file is dropped, the controller then asks for the job again."""
        found = []
        for path in sorted((self._folder / "reports").glob("*.pb")):
            try:
                found.append(fleet_pb2.Report.FromString(path.read_bytes()))
            except DecodeError:
                path.unlink(missing_ok=True)
        return found

    async def job_folder(self, job: Job, download: Callable[[str, int], AsyncIterator[bytes]]) -> Path:
        """A new folder with the job's files, fetched where the cache lacks them.

        Raises:
            MeasureError: A file did not arrive as announced, or the disk is full.
        """
        folder = self._folder / "jobs" / uuid.uuid4().hex
        try:
            folder.mkdir()
            for one in job.files:
                source = await self._cached(one, download)
                place = _inside(folder, one.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(source, place)
        except BaseException as error:
            self.drop_job_folder(folder)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                text = f"no space left on the agent in {self._folder}: free some."
                raise MeasureError(FaultKind.INFRASTRUCTURE, text) from error
            raise
        self._trim({one.sha256 for one in job.files})
        return folder

    def drop_job_folder(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    async def _cached(self, one: ModelFile, download: Callable[[str, int], AsyncIterator[bytes]]) -> Path:
        path = self._folder / "cache" / one.sha256
        if path.is_file() and path.stat().st_size == one.size_bytes:
            os.utime(path)
            return path
        partial = path.with_name(f".{one.sha256}.part")
        try:
            await self._fetch(one, partial, download)
        except OSError:
            # Unlike the rest of a broken connection it is not gone on with: on a full disk it only takes up space.
            partial.unlink(missing_ok=True)
            raise
        partial.replace(path)
        return path

    async def _fetch(
        self, one: ModelFile, partial: Path, download: Callable[[str, int], AsyncIterator[bytes]]
    ) -> None:
        """Goes on where a connection that broke had come to; what arrived wrong is thrown away."""
        digest, size_bytes = hashlib.sha256(), 0
        with partial.open("a+b") as file:
            file.seek(0)
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
            if size_bytes > one.size_bytes:
                file.truncate(0)
                digest, size_bytes = hashlib.sha256(), 0
            async for chunk in download(one.sha256, size_bytes):
                size_bytes += len(chunk)
                if size_bytes > one.size_bytes:
                    break
                digest.update(chunk)
                file.write(chunk)
        if size_bytes != one.size_bytes or digest.hexdigest() != one.sha256:
            partial.unlink(missing_ok=True)
            text = f"file {one.sha256[:12]} did not arrive as announced ({size_bytes} of {one.size_bytes} bytes)."
            raise MeasureError(FaultKind.INFRASTRUCTURE, text)

    def _trim(self, keep: set[str]) -> None:
        files = sorted((self._folder / "cache").iterdir(), key=lambda path: -path.stat().st_mtime)
        total_bytes = 0
        for path in files:
            total_bytes += path.stat().st_size
            if total_bytes > self._cache_bytes and path.name not in keep:
                path.unlink(missing_ok=True)

    def _report_path(self, lease: fleet_pb2.Lease) -> Path:
        name = lease.measurement.replace("/", "-")
        return self._folder / "reports" / f"{name}-{lease.fencing_token}.pb"

    @contextmanager
    def _room_for(self, name: str) -> Iterator[Callable[[bytes], None]]:
        path = self._folder / name
        with ExitStack() as held:
            with _unwritable(path):
                keep = held.enter_context(reserved(path, _MEMBERSHIP_BYTES, 0o600))
            yield keep

    def _write(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        with _unwritable(path):
            write_whole(path, content, mode)


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResourceExhaustedError(f"cannot write '{path}' ({error.strerror}): free some space.") from error


def _inside(folder: Path, name: str) -> Path:
    """The place of ``name`` in ``folder``; a name that leads out of it is the sender's fault."""
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise MeasureError(FaultKind.MODEL, f"the file name '{name}' leads out of the job's folder.")
    return place


def _link(source: Path, place: Path) -> None:
    """A hard link where the file system has them; a runtime may refuse to follow a symbolic one."""
    with suppress(OSError):
        os.link(source, place)
        return
    shutil.copyfile(source, place)
