"""Devices that are not there, or that let nobody in."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind
from fleetnas_agents.shells.adb import open_adb
from fleetnas_agents.shells.shell import LinkError
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    PermissionDeniedError,
)

# adbutils leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

CHAT = "while :; do echo progress 1; sleep 0.1; done"
INFRASTRUCTURE = FaultKind.INFRASTRUCTURE


def test_phone_that_was_not_allowed_yet_says_what_to_do_and_joins_once_allowed(
    make_phone: Any, make_driver: Any, fake_runner: Any
) -> None:
    phone = make_phone(auth=True)
    with pytest.raises(FailedPreconditionError, match="accept 'Allow USB debugging"):
        make_driver(phone, fake_runner(CHAT), wait_s=1.0).describe()
    (phone.home / "control" / "allow").touch()
    assert make_driver(phone, fake_runner(CHAT), wait_s=10.0).describe().model


def test_phone_that_is_not_there_says_how_to_plug_it_in(
    make_phone: Any, make_driver: Any, fake_runner: Any
) -> None:
    make_phone()
    with pytest.raises(LinkError, match="switch on USB debugging"):
        open_adb("no-such-serial", wait_s=0.0)


def test_two_phones_need_a_serial(make_phone: Any) -> None:
    phones = [make_phone(), make_phone()]
    for one in phones:
        open_adb(connect=one.address, wait_s=10.0)
    with pytest.raises(InvalidArgumentError, match="say which with --serial"):
        open_adb(wait_s=0.0)


@pytest.fixture
def adb_lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """An adb server that knows nothing but the list of phones it is told, for states no daemon double gets into."""
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket, listed: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(int(link.recv(4), 16))
                    link.sendall(b"OKAY" + f"{len(listed):04x}".encode() + listed)

    def start(listed: str) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(listener.getsockname()[1]))
        threading.Thread(target=serve, args=(listener, listed.encode()), daemon=True).start()

    yield start
    for one in listeners:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


UNUSABLE: dict[str, tuple[str, str, type[Exception], str]] = {
    "offline": ("a offline", "", FailedPreconditionError, "replug the cable, or run `adb reconnect offline`"),
    "unauthorised": ("a unauthorized", "a", FailedPreconditionError, "accept 'Allow USB debugging"),
    "no permission": (
        "a no permissions (udev?); see [u]",
        "a",
        FailedPreconditionError,
        "allow USB access",
    ),
    "in recovery": ("a recovery", "", FailedPreconditionError, "boot the phone normally"),
    "one serial twice": ("a device\na device", "a", InvalidArgumentError, "2 phones bear the serial 'a'"),
    "one serial twice, none named": ("a device\na offline", "", InvalidArgumentError, "bear the serial 'a'"),
    "another phone": ("b device", "a", LinkError, r"phone 'a' is not there \(adb sees b\)"),
    "none": ("", "", LinkError, "switch on USB debugging"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_phone_that_cannot_be_used_says_what_to_do(case: str, adb_lists: Callable[[str], None]) -> None:
    pytest.importorskip("adbutils", reason="the package adbutils is not installed")
    listed, serial, error, words = UNUSABLE[case]
    adb_lists("".join(f"{line.replace(' ', chr(9), 1)}\n" for line in listed.splitlines()))
    with pytest.raises(error, match=words):
        open_adb(serial, wait_s=0.0)


def test_twins_elsewhere_are_no_matter_to_a_phone_that_is_named(adb_lists: Callable[[str], None]) -> None:
    pytest.importorskip("adbutils", reason="the package adbutils is not installed")
    adb_lists("a\tdevice\na\tdevice\nb\tdevice\n")
    assert open_adb("b", wait_s=0.0).serial == "b"


@pytest.mark.parametrize("kind", ["phone", "board"])
def test_device_that_says_garbage_of_itself_is_refused(
    kind: str, make_device: Any, make_driver: Any, fake_runner: Any
) -> None:
    device = make_device(kind)
    for name in ("getprop", "uname"):
        path = device.home / "bin" / name
        path.write_text("#!/bin/sh\nhead -c 300 /dev/urandom\n")
        path.chmod(0o755)
    with pytest.raises(FailedPreconditionError, match="no runner for the machine"):
        make_driver(device, fake_runner(CHAT)).describe()


def _new_host_key(board: Any) -> None:
    board.kill()
    (board.home / "host_key").unlink()
    (board.home / "other_key").rename(board.home / "host_key")
    board.start()


def _our_key_taken_away(board: Any) -> None:
    (board.home / "authorized_keys").write_text("")
    board.cable.pull()
    board.cable.plug()


def _allowed_no_longer(phone: Any) -> None:
    phone.kill()
    phone.options = ["--auth"]
    phone.start()


# What may change while an agent is at work, with the device still there.
CHANGES: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "the board shows another host key": ("board", _new_host_key, "another machine may answer"),
    "the board lets us in no longer": ("board", _our_key_taken_away, "ssh-copy-id"),
    "the phone lets us in no longer": ("phone", _allowed_no_longer, "Allow USB debugging"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_device_that_shuts_us_out_between_jobs_is_a_fault_that_says_so(
    case: str, make_device: Any, make_driver: Any, fake_runner: Any, make_job: Any, fault_of: Any
) -> None:
    kind, change, words = CHANGES[case]
    device = make_device(kind)
    driver = make_driver(device, fake_runner(CHAT), wait_s=2.0)
    driver.describe()
    change(device)
    # The first job may find the old link broken; none may find it whole.
    said = [fault_of(driver, *make_job(total_s=20.0)) for _ in range(2)]
    assert {one.kind for one in said} == {INFRASTRUCTURE}
    assert words in str(said[-1])


def opened(board: Any, **changes: Any) -> Any:
    from fleetnas_agents.shells.ssh import open_ssh, parse_ssh_address

    options = {"key_file": board.home / "user_key", "known_hosts": board.home / "known_hosts"} | changes
    return open_ssh(parse_ssh_address(board.address), **options)


def test_host_that_nobody_vouches_for_is_refused_with_its_fingerprint(
    make_board: Any, tmp_path: Path
) -> None:
    board = make_board()
    (tmp_path / "empty").touch()
    with pytest.raises(FailedPreconditionError, match=r"--host-key SHA256:[A-Za-z0-9+/]{43}"):
        opened(board, known_hosts=tmp_path / "empty")
    assert (tmp_path / "empty").read_text() == ""


def test_pinned_fingerprint_vouches_for_a_host(make_board: Any) -> None:
    board = make_board()
    listed = subprocess.run(
        ["ssh-keygen", "-lf", str(board.home / "host_key.pub")], capture_output=True, text=True, check=True
    ).stdout
    shell = opened(board, known_hosts=None, host_key=listed.split()[1])
    assert shell.run("echo here", timeout_s=10.0).text == "here\n"
    shell.close()


def test_pinned_fingerprint_of_another_key_is_refused(make_board: Any) -> None:
    with pytest.raises(PermissionDeniedError, match="another machine may answer"):
        opened(make_board(), known_hosts=None, host_key="SHA256:" + "A" * 43)


def test_changed_host_key_is_refused(make_board: Any) -> None:
    board = make_board()
    other = " ".join((board.home / "other_key.pub").read_text().split()[:2])
    (board.home / "known_hosts").write_text(f"[127.0.0.1]:{board.cable.port} {other}\n")
    with pytest.raises(PermissionDeniedError, match="another machine may answer"):
        opened(board)


def test_user_key_that_is_not_known_there_is_said_with_the_cure(make_board: Any) -> None:
    board = make_board()
    with pytest.raises(PermissionDeniedError, match="ssh-copy-id"):
        opened(board, key_file=board.home / "other_key")


def test_missing_key_file_is_named(make_board: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedPreconditionError, match="no-such-key"):
        opened(make_board(), key_file=tmp_path / "no-such-key")
