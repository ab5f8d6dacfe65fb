"""Android phones, through the adb server that the real ``adb`` runs."""

__all__ = ["AdbShell", "open_adb"]

import contextlib
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fleetnas_agents.shells.shell import Finished, LinkError, RemoteError, split_exit_code, with_exit_code
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

_CHUNK_BYTES = 64 * 1024  # the protocol's largest
_POLL_S = 0.5
_CONNECT_S = 10.0
_HINTS = {
    "unauthorized": "unlock the phone and accept 'Allow USB debugging?'",
    "authorizing": "unlock the phone and accept 'Allow USB debugging?'",
    "offline": "replug the cable, or run `adb reconnect offline`",
    "no permissions": "allow USB access: apt-get install android-sdk-platform-tools-common, then replug",
    "recovery": "boot the phone normally",
    "bootloader": "boot the phone normally",
    "sideload": "boot the phone normally",
}


def open_adb(
    serial: str = "",
    *,
    connect: str = "",
    wait_s: float = 20.0,
    progress: Callable[[], None] = lambda: None,
) -> "AdbShell":
    """Finds a phone, waiting for it to be plugged in, authorised or back online.

    Args:
        serial: The phone's; empty when there is but one.
        connect: ``HOST:PORT`` of a phone with wireless debugging; its serial then.
        wait_s: How long to ask again; the first answer of adb after a plug-in is often ``offline``.
        progress: Called while waiting; what it raises ends the wait.

    Raises:
        FailedPreconditionError: It is there and lets nobody in, or adb is missing; says what to do.
        InvalidArgumentError: Several phones are there and no serial says which.
        LinkError: It is not there.
    """
    client = _client()
    serial = serial or connect
    deadline_s = time.monotonic() + wait_s
    while True:
        with _adb_errors("adb"):
            if connect:
                client.connect(connect, timeout=_CONNECT_S)
            found = client.list()
        # adbutils keeps the first word of a state, and one state has two.
        states = {one.serial: "no permissions" if one.state == "no" else one.state for one in found}
        _refuse_twins([one.serial for one in found], serial)
        if states.get(_the_serial(states, serial)) == "device":
            return AdbShell(client, _the_serial(states, serial))
        if time.monotonic() >= deadline_s:
            raise _not_usable(states, serial)
        progress()
        time.sleep(_POLL_S)


def _client() -> Any:
    try:
        import adbutils
    except ImportError as error:
        raise FailedPreconditionError(
            "the adb driver needs the package 'adbutils': pip install 'fleetnas[android]'."
        ) from error
    return adbutils.AdbClient(socket_timeout=_CONNECT_S)


def _the_serial(states: dict[str, str], serial: str) -> str:
    if serial:
        return serial
    ready = [one for one, state in states.items() if state == "device"]
    if len(ready) > 1:
        raise InvalidArgumentError(
            f"{len(ready)} phones are there ({', '.join(ready)}): say which with --serial."
        )
    return ready[0] if ready else ""


def _refuse_twins(serials: list[str], serial: str) -> None:
    """Cheap phones share a serial: adb would pick either, and the two would be measured as one."""
    for one in set(serials):
        if serials.count(one) > 1 and serial in ("", one):
            raise InvalidArgumentError(
                f"{serials.count(one)} phones bear the serial '{one}': plug them into different computers, or reach "
                "one by --connect HOST:PORT."
            )


def _not_usable(states: dict[str, str], serial: str) -> Exception:
    seen = {one: state for one, state in states.items() if serial in ("", one)}
    for one, state in seen.items():
        hint = next((text for name, text in _HINTS.items() if state.startswith(name)), "")
        if hint:
            return FailedPreconditionError(f"phone '{one}' is '{state}': {hint}.")
    what = f"phone '{serial}' is not there" if serial else "no phone is there"
    others = f" (adb sees {', '.join(states)})" if states else ""
    return LinkError(f"{what}{others}: plug it in, switch on USB debugging, check with `adb devices`.")


class AdbShell:
    """A ``Shell``. Each command is a connection of its own, so one that broke spoils no other."""

    def __init__(self, client: Any, serial: str) -> None:
        self._client = client
        self.serial = serial

    def run(self, command: str, *, timeout_s: float) -> Finished:
        with contextlib.closing(self.start(with_exit_code(command))) as stream:
            return split_exit_code(_read_all(stream, timeout_s))

    def start(self, command: str) -> "_AdbStream":
        return _AdbStream(self._service(f"exec:{command}"), self.serial)

    def push(self, local: Path, remote: str, *, silence_s: float, progress: Callable[[], None]) -> None:
        # Not adbutils' own push: that waits for ever, and sends without a look at how much was taken.
        with (
            contextlib.closing(self._service("sync:")) as connection,
            local.open("rb") as file,
            _adb_errors(self.serial),
        ):
            link = connection.conn
            link.settimeout(silence_s)
            target = f"{remote},{stat.S_IFREG | 0o755}".encode()
            link.sendall(b"SEND" + struct.pack("<I", len(target)) + target)
            while chunk := file.read(_CHUNK_BYTES):
                link.sendall(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
                progress()
            link.sendall(b"DONE" + struct.pack("<I", int(time.time())))
            _check_sync(connection, remote)

    def _service(self, name: str) -> Any:
        """A connection to one service of the phone. adbutils' own would stay open when the phone is not there."""
        with _adb_errors(self.serial):
            connection = self._client.make_connection(timeout=_CONNECT_S)
            try:
                for request in (f"host:transport:{self.serial}", name):
                    connection.conn.sendall(_framed(request))
                    connection.check_okay()
            except BaseException:
                connection.close()
                raise
        return connection

    def close(self) -> None:
        return None


class _AdbStream:
    """A ``Stream``."""

    def __init__(self, connection: Any, serial: str) -> None:
        self._connection = connection
        self._serial = serial

    def read(self, timeout_s: float) -> bytes:
        link = self._connection.conn
        link.settimeout(max(timeout_s, 1e-3))
        try:
            return bytes(link.recv(_CHUNK_BYTES))
        except TimeoutError:
            raise
        except OSError as error:
            raise LinkError(f"the link to phone '{self._serial}' broke ({error}).") from error

    def close(self) -> None:
        if self._connection.closed:
            return
        # Not only closed but shut down: a thread that waits in recv wakes up then.
        with contextlib.suppress(OSError):
            self._connection.conn.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def _read_all(stream: _AdbStream, timeout_s: float) -> str:
    deadline_s = time.monotonic() + timeout_s
    parts = []
    try:
        while part := stream.read(deadline_s - time.monotonic()):
            parts.append(part)
    except TimeoutError as error:
        raise LinkError(f"the phone gave no answer within {timeout_s:g} s: is it busy or asleep?") from error
    return b"".join(parts).decode("utf-8", errors="replace")


def _check_sync(connection: Any, remote: str) -> None:
    """Raises RemoteError with the phone's own words."""
    head = connection.read(8)
    if len(head) < 8:
        raise LinkError(f"the link broke while '{remote}' was copied.")
    if head[:4] == b"OKAY":
        return
    words = connection.read_string(min(struct.unpack("<I", head[4:])[0], 1000))
    raise RemoteError(f"the phone refuses '{remote}': {words.strip() or head[:4].decode('ascii', 'replace')}")


def _framed(service: str) -> bytes:
    content = service.encode()
    return f"{len(content):04x}".encode() + content


@contextlib.contextmanager
def _adb_errors(who: str) -> Iterator[None]:
    """adbutils' errors, and those of the socket, as ours."""
    import adbutils

    try:
        yield
    except (adbutils.AdbError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise FailedPreconditionError(f"adb cannot be started ({error}): install it.") from error
        text = " ".join(str(error).split()) or type(error).__name__
        raise LinkError(f"'{who}' cannot be reached through adb: {text}.") from error
