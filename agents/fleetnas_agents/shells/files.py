"""The agent's folder on a device: files under their digests, each copied once and checked before use."""

__all__ = ["DeviceFolder"]

import contextlib
import re
import shlex
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fleetnas_agents.shells.shell import Finished, LinkError, RemoteError, Shell

_COMMAND_S = 30.0
_CACHE_KIB = 512 * 1024
_NOBODY = "agent"
_STALE_MIN = 24 * 60
_SIZE = re.compile(r"^\s*(\d+) ([0-9a-f]{64})\s*$", re.MULTILINE)


class DeviceFolder:
    """``cache/`` holds files by SHA-256, ``jobs/`` what one job needs and no longer, ``lock`` who measures.

    Several agents may use one folder: each sweeps out what is its own, and what nobody touched for a day.

    Args:
        path: Absolute, on the device; made if it is not there.
        owner: Of what this agent leaves there: the same when it starts again, another for another agent.
        cache_kib: Files beyond this are dropped, the longest unused first.
    """

    def __init__(self, shell: Shell, path: str, owner: str = _NOBODY, *, cache_kib: int = _CACHE_KIB) -> None:
        self._shell = shell
        self.path = path.rstrip("/")
        self._owner = owner
        self._cache_kib = cache_kib

    @property
    def lock(self) -> str:
        """The file that a runner holds while it measures."""
        return f"{self.path}/lock"

    def prepare(self) -> None:
        """Makes the folder and sweeps out what an agent that died has left.

        Raises:
            RemoteError: The device does not let us write there.
        """
        folder = shlex.quote(self.path)
        command = (
            f"mkdir -p {folder}/cache {folder}/jobs && cd {folder} && touch lock && "
            f"rm -rf jobs/{self._owner}-* cache/*.{self._owner}-*.part && "
            f"find jobs/* cache/*.part -prune -mmin +{_STALE_MIN} -exec rm -rf {{}} + 2>/dev/null; "
            f"test -w {folder}/lock"
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
        names = " ".join(files)
        answer = self._run(
            f"cd {shlex.quote(cache)} && touch -c {names} && {{ wc -c {names} 2>/dev/null; true; }}"
        )
        self._must(answer, "cannot be listed")
        sizes = {name: int(size) for size, name in _SIZE.findall(answer.text)}
        for sha256, local in files.items():
            # A device that lost power may have kept the name of a file and lost its end.
            if sizes.get(sha256) != local.stat().st_size:
                self._copy(local, sha256, f"{cache}/{sha256}", silence_s, progress)
        return {sha256: f"{cache}/{sha256}" for sha256 in files}

    def _copy(
        self, local: Path, sha256: str, place: str, silence_s: float, progress: Callable[[], None]
    ) -> None:
        partial = f"{place}.{self._owner}-{uuid.uuid4().hex[:8]}.part"
        try:
            self._shell.push(local, partial, silence_s=silence_s, progress=progress)
            self._accept(partial, sha256, place)
        except LinkError:
            raise  # nobody is there to clean up with; the next session sweeps it out
        except BaseException as error:
            with contextlib.suppress(LinkError):
                self._run(f"rm -f {shlex.quote(partial)}")
            if isinstance(error, RemoteError):
                raise RemoteError(f"{error}{self._space_hint(local.stat().st_size)}") from error
            raise

    @contextlib.contextmanager
    def job(self) -> Iterator[str]:
        """A new empty folder, gone afterwards; where the link broke, as soon as there is another."""
        place = self.new_job()
        try:
            yield place
        except LinkError:
            raise
        except BaseException:
            with contextlib.suppress(LinkError):
                self.drop_job(place)
            raise
        with contextlib.suppress(LinkError):
            self.drop_job(place)

    def new_job(self) -> str:
        """A new empty folder under ``jobs/``."""
        place = f"{self.path}/jobs/{self._owner}-{uuid.uuid4().hex}"
        self._must(self._run(f"mkdir {shlex.quote(place)}"), "takes no new job")
        return place

    def drop_job(self, place: str) -> None:
        """Removes a job's folder, and cached files if there are too many of them."""
        trim = (
            f"cd {shlex.quote(self.path)}/cache && "
            f'while [ "$(du -sk . | cut -f1)" -gt {self._cache_kib} ] && [ -n "$(ls)" ]; '
            'do rm -f "$(ls -tr | head -n 1)" || break; done'
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
