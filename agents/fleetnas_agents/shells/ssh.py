"""Linux boards over SSH, host keys checked."""

__all__ = ["SshAddress", "SshShell", "fingerprint", "open_ssh", "parse_ssh_address"]

import base64
import contextlib
import hashlib
import logging
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetnas_agents.shells.shell import Finished, LinkError, RemoteError
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, PermissionDeniedError

_CONNECT_S = 10.0
_KEEPALIVE_S = 5
_CHUNK_BYTES = 32 * 1024
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where a board is, and who logs in."""

    user: str
    host: str
    port: int = 22

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def parse_ssh_address(text: str) -> SshAddress:
    """``USER@HOST`` or ``USER@HOST:PORT``; an IPv6 host stands in brackets.

    Raises:
        InvalidArgumentError: It is neither.
    """
    found = re.fullmatch(r"([^@\s]+)@(\[[0-9A-Fa-f:]+\]|[^@:\s]+)(?::(\d{1,5}))?", text)
    if found is None or not 0 < int(found[3] or 22) < 65_536:
        raise InvalidArgumentError(f"--ssh '{text}' is no USER@HOST or USER@HOST:PORT, e.g. pi@192.168.1.20.")
    return SshAddress(found[1], found[2].strip("[]"), int(found[3] or 22))


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -l`` prints it: ``SHA256:...``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def open_ssh(
    address: SshAddress,
    *,
    key_file: Path | None = None,
    host_key: str = "",
    known_hosts: Path | None = None,
    timeout_s: float = _CONNECT_S,
) -> "SshShell":
    """Logs in by key or agent, never by password, and never to a host that nobody vouched for.

    Args:
        key_file: None: the SSH agent's keys and the user's own.
        host_key: The host key's fingerprint, ``SHA256:...``; empty: it stands in ``known_hosts``.
        known_hosts: None: the user's own.

    Raises:
        PermissionDeniedError: The host shows another key than the one known, or refuses ours.
        FailedPreconditionError: The host is not known yet, or paramiko or a file is missing.
        LinkError: It cannot be reached.
    """
    paramiko = _paramiko()
    if host_key and not _FINGERPRINT.fullmatch(host_key):
        raise InvalidArgumentError(f"--host-key '{host_key}' is no SHA256:... as `ssh-keygen -lf` prints it.")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_policy(paramiko, address, host_key))
    try:
        if not host_key:
            _load_known_hosts(client, known_hosts)
        with _login_errors(paramiko, address):
            client.connect(
                address.host,
                address.port,
                address.user,
                key_filename=str(key_file) if key_file else None,
                allow_agent=key_file is None,
                look_for_keys=key_file is None,
                timeout=timeout_s,
                banner_timeout=timeout_s,
                auth_timeout=timeout_s,
                channel_timeout=timeout_s,
            )
    except BaseException:
        client.close()
        raise
    client.get_transport().set_keepalive(_KEEPALIVE_S)
    return SshShell(client, address)


class SshShell:
    """A ``Shell``."""

    def __init__(self, client: Any, address: SshAddress) -> None:
        self._client = client
        self._address = address

    def run(self, command: str, *, timeout_s: float) -> Finished:
        stream = self.start(command)
        deadline_s = time.monotonic() + timeout_s
        parts = []
        try:
            stream.end_input()
            while part := stream.read(deadline_s - time.monotonic()):
                parts.append(part)
            code = stream.exit_code(deadline_s - time.monotonic())
        except TimeoutError as error:
            raise LinkError(f"{self._address} gave no answer within {timeout_s:g} s.") from error
        finally:
            stream.close()
        return Finished(code, b"".join(parts).decode("utf-8", errors="replace"))

    def start(self, command: str) -> "_SshStream":
        with self._errors(), self._bounded():
            channel = self._client.get_transport().open_session(timeout=_CONNECT_S)
            channel.set_combine_stderr(True)
            channel.exec_command(command)
        return _SshStream(channel, str(self._address))

    def push(self, local: Path, remote: str, *, silence_s: float, progress: Callable[[], None]) -> None:
        with self._errors():
            with self._bounded():
                sftp = self._client.open_sftp()
            with contextlib.closing(sftp), local.open("rb") as source:
                sftp.get_channel().settimeout(silence_s)
                try:
                    with sftp.open(remote, "wb") as target:
                        # Without it each piece waits for the board's answer to the one before.
                        target.set_pipelined(True)
                        while chunk := source.read(_CHUNK_BYTES):
                            target.write(chunk)
                            progress()
                    sftp.chmod(remote, 0o755)
                except TimeoutError:
                    raise
                except OSError as error:
                    # SFTP has one code for a full disk and all else: "Failure".
                    raise RemoteError(f"{self._address} refuses '{remote}': {error}") from error

    def close(self) -> None:
        self._client.close()

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Ends the link when what is inside does not end: paramiko waits for ever for the answer to a request."""
        timer = threading.Timer(_CONNECT_S, self._client.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        import paramiko

        try:
            yield
        except (paramiko.SSHException, EOFError, OSError, AttributeError) as error:
            # AttributeError: a transport that is gone is None.
            text = " ".join(str(error).split()) or type(error).__name__
            raise LinkError(f"the link to {self._address} broke: {text}.") from error


class _SshStream:
    """A ``Stream``."""

    def __init__(self, channel: Any, who: str) -> None:
        self._channel = channel
        self._who = who

    def read(self, timeout_s: float) -> bytes:
        # paramiko's own waiting goes by the time of day: a clock that is set ends it early, or never.
        if not select.select([self._channel.fileno()], [], [], max(timeout_s, 0.0))[0]:
            raise TimeoutError
        part = bytes(self._channel.recv(_CHUNK_BYTES))
        if not part and not self._channel.get_transport().is_active():
            raise LinkError(f"the link to {self._who} broke.")
        return part

    def end_input(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def exit_code(self, timeout_s: float) -> int:
        """Raises TimeoutError; LinkError when the link broke before it came."""
        if not self._channel.status_event.wait(max(timeout_s, 0.0)):
            raise TimeoutError
        code = int(self._channel.recv_exit_status())
        if code < 0 and not self._channel.get_transport().is_active():
            raise LinkError(f"the link to {self._who} broke.")
        return code

    def close(self) -> None:
        self._channel.close()


def _paramiko() -> Any:
    try:
        import paramiko
    except ImportError as error:
        raise FailedPreconditionError(
            "the ssh driver needs the package 'paramiko': pip install 'fleetnas[ssh]'."
        ) from error
    # What it says there it also raises, and its threads go on saying it while the agent ends.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    return paramiko


def _load_known_hosts(client: Any, known_hosts: Path | None) -> None:
    if known_hosts is None:
        client.load_system_host_keys()
        return
    try:
        client.load_host_keys(str(known_hosts))
    except OSError as error:
        raise FailedPreconditionError(
            f"--known-hosts '{known_hosts}' cannot be read ({error.strerror})."
        ) from error


def _policy(paramiko: Any, address: SshAddress, host_key: str) -> Any:
    """For hosts that no file vouches for: only a key with the pinned fingerprint passes."""

    class Pinned(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: object, hostname: str, key: Any) -> None:
            shown = fingerprint(key.asbytes())
            if not host_key:
                raise FailedPreconditionError(
                    f"nobody vouches for {address}, which shows the host key {shown}: compare it with "
                    f"`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the board, then say --host-key {shown}."
                )
            if shown != host_key:
                raise _wrong_host_key(address, shown, host_key)

    return Pinned()


def _wrong_host_key(address: SshAddress, shown: str, known: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{address} shows the host key {shown}, known is {known}: another machine may answer there. Only if the "
        "board was set up anew, replace the known one."
    )


@contextlib.contextmanager
def _login_errors(paramiko: Any, address: SshAddress) -> Iterator[None]:
    try:
        yield
    except paramiko.BadHostKeyException as error:
        shown, known = fingerprint(error.key.asbytes()), fingerprint(error.expected_key.asbytes())
        raise _wrong_host_key(address, shown, known) from error
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        raise PermissionDeniedError(
            f"{address} lets none of our keys in: put yours there with `ssh-copy-id {address.user}@{address.host}`, "
            "or name it with --key."
        ) from error
    except FileNotFoundError as error:
        raise FailedPreconditionError(f"the key file '{error.filename}' is not there: see --key.") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise LinkError(f"{address} cannot be reached: {text}.") from error
