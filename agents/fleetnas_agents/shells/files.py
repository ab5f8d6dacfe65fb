"""The agent's folder on a device: files under their digests, each copied once and checked before use."""

__all__ = ["DeviceFolder"]

import contextlib
import shlex
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from fleetnas_agents.shells.shell import Finished, LinkError, RemoteError, Shell

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

    def put(
        self, files: Mapping[str, Path], *, silence_s: float, progress: Callable[[], None]
    ) -> Mapping[str, str]:
        """Copies files unless they are there; returns their paths on the device by the same keys.

        A file bears its name only once its content was checked there, so a broken copy is never used.

        Args:
            files: By SHA-256.

        Raises:
            RemoteError: No space, or a copy is not what was sent.
        """
        cache = f"{self.path}/cache"
        answer = self._run(f"cd {shlex.quote(cache)} && touch -c {' '.join(files)} && ls")
        self._must(answer, "cannot be listed")
        present = set(answer.text.split())
        for sha256, local in files.items():
            if sha256 not in present:
                self._copy(local, sha256, f"{cache}/{sha256}", silence_s, progress)
        return {sha256: f"{cache}/{sha256}" for sha256 in files}

    def _copy(
        self, local: Path, sha256: str, place: str, silence_s: float, progress: Callable[[], None]
    ) -> None:
        partial = f"{place}.{uuid.uuid4().hex[:8]}.part"
        try:
            self._shell.push(local, partial, silence_s=silence_s, progress=progress)
            self._accept(partial, sha256, place)
        except BaseException as error:
            with contextlib.suppress(LinkError):
                self._run(f"rm -f {shlex.quote(partial)}")
            if isinstance(error, RemoteError):
                raise RemoteError(f"{error}{self._space_hint(local.stat().st_size)}") from error
            raise

    def new_job(self) -> str:
        """A new empty folder under ``jobs/``."""
        place = f"{self.path}/jobs/{uuid.uuid4().hex}"
        self._must(self._run(f"mkdir {shlex.quote(place)}"), "takes no new job")
        return place

    def drop_job(self, place: str) -> None:
        """Removes a job's folder, and cached files if there are too many of them."""
        trim = (
            f"cd {shlex.quote(self.path)}/cache && "
            f'while [ "$(du -sk . | cut -f1)" -gt {self._cache_kib} ] && [ -n "$(ls)" ]; '
            'do rm -f "$(ls -tr | head -n 1)"; done'
        )
        self._run(f"rm -rf {shlex.quote(place)}; {trim}")

    def _accept(self, partial: str, sha256: str, place: str) -> None:
        """Checks a copy and gives it its name, in one command: each costs a round trip."""
        part, name = shlex.quote(partial), shlex.quote(place)
        command = (
            f'set -- $(sha256sum {part}) && [ "$1" = {sha256} ] && chmod 755 {part} && mv -f {part} {name}'
        )
        answer = self._run(command)
        if answer.exit_code != 0:
            said = _line(answer.text) if answer.text.strip() else "it differs from what was sent"
            raise RemoteError(f"the copy of {sha256[:12]} on the device is no good: {said}")

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


def _line(text: str) -> str:
    return " ".join(text.split())[:200] or "no reason given"
