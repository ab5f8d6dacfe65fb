"""The agent's folder on a device: files under their digests, each copied once and checked before use."""

__all__ = ["DeviceFolder"]

import hashlib
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path

from fleetnas_agents.shells.shell import Finished, RemoteError, Shell

_COMMAND_S = 30.0
_CACHE_KIB = 512 * 1024


class DeviceFolder:
    """``cache/`` holds files by SHA-256, ``jobs/`` what one job needs and no longer.

    Args:
        path: Absolute, on the device; made if it is not there.
        cache_kib: Files beyond this are dropped, the longest unused first.
    """

    def __init__(self, shell: Shell, path: str, cache_kib: int = _CACHE_KIB) -> None:
        self._shell = shell
        self.path = path.rstrip("/")
        self._cache_kib = cache_kib

    def prepare(self) -> None:
        """Makes the folder and sweeps out what an agent that died has left.

        Raises:
            RemoteError: The device does not let us write there.
        """
        folder = shlex.quote(self.path)
        command = (
            f"mkdir -p {folder}/cache {folder}/jobs && rm -rf {folder}/jobs/* {folder}/cache/*.part "
            f"&& touch {folder}/jobs/.writable"
        )
        self._must(
            self._run(command),
            "cannot be written: choose another with --device-folder, or run `chown` on it",
        )

    def put(self, local: Path, *, silence_s: float, progress: Callable[[], None]) -> str:
        """Copies a file unless it is there; returns its path on the device.

        It bears its name only once its content was checked there, so a broken copy is never used.

        Raises:
            RemoteError: No space, or the copy is not what was sent.
        """
        sha256 = _sha256(local)
        place = f"{self.path}/cache/{sha256}"
        if self._run(f"touch -c {place} && test -s {place}").exit_code == 0:
            return place
        partial = f"{place}.{uuid.uuid4().hex[:8]}.part"
        try:
            self._shell.push(local, partial, silence_s=silence_s, progress=progress)
            self._check(partial, sha256)
            self._must(self._run(f"chmod 755 {partial} && mv -f {partial} {place}"), "cannot take the file")
        except RemoteError as error:
            self._run(f"rm -f {partial}")
            raise RemoteError(f"{error}{self._space_hint(local.stat().st_size)}") from error
        return place

    def new_job(self) -> str:
        """A new empty folder under ``jobs/``."""
        place = f"{self.path}/jobs/{uuid.uuid4().hex}"
        self._must(self._run(f"mkdir {place}"), "takes no new job")
        return place

    def write(self, path: str, text: str) -> None:
        """A small text file; raises RemoteError."""
        self._must(self._run(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}"), "takes no job file")

    def drop_job(self, place: str) -> None:
        """Removes a job's folder, and cached files if there are too many of them."""
        trim = (
            f"cd {shlex.quote(self.path)}/cache && "
            f'while [ "$(du -sk . | cut -f1)" -gt {self._cache_kib} ] && [ -n "$(ls)" ]; '
            'do rm -f "$(ls -tr | head -n 1)"; done'
        )
        self._run(f"rm -rf {shlex.quote(place)}; {trim}")

    def _check(self, path: str, sha256: str) -> None:
        answer = self._run(f"sha256sum {path}")
        if answer.exit_code != 0:
            raise RemoteError(f"the copy cannot be checked: {_line(answer.text)}")
        if answer.text.split()[:1] != [sha256]:
            raise RemoteError("the copy differs from what was sent: the storage or the link is bad")

    def _space_hint(self, size_bytes: int) -> str:
        """What ``df`` says when the file did not fit, for few devices say it themselves."""
        fields = self._run(f"df -k {shlex.quote(self.path)}").text.strip().splitlines()[-1:]
        free = fields[0].split()[3] if fields and len(fields[0].split()) > 3 else ""
        if not free.isdigit() or int(free) * 1024 > size_bytes:
            return ""
        return f"; {free} KiB are free in {self.path}, {size_bytes // 1024} KiB are needed: free some"

    def _run(self, command: str) -> Finished:
        return self._shell.run(command, timeout_s=_COMMAND_S)

    def _must(self, answer: Finished, trouble: str) -> None:
        if answer.exit_code != 0:
            raise RemoteError(f"the device's folder '{self.path}' {trouble} ({_line(answer.text)}).")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(text: str) -> str:
    return " ".join(text.split())[:200] or "no reason given"
