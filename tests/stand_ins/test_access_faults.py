"""Devices that are not there, or that let nobody in."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind
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
INFRASTRUCTURE, CRASH, MODEL = FaultKind.INFRASTRUCTURE, FaultKind.CRASH, FaultKind.MODEL


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
    from fleetnas_agents.shells.adb import open_adb
    from fleetnas_agents.shells.shell import LinkError

    make_phone()
    with pytest.raises(LinkError, match="switch on USB debugging"):
        open_adb("no-such-serial", wait_s=0.0)


def test_two_phones_need_a_serial(make_phone: Any) -> None:
    from fleetnas_agents.shells.adb import open_adb

    phones = [make_phone(), make_phone()]
    for one in phones:
        open_adb(connect=one.address, wait_s=10.0)
    with pytest.raises(InvalidArgumentError, match="say which with --serial"):
        open_adb(wait_s=0.0)


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
