"""What every shell promises, and each kind's own options."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import MeasureError
from fleetnas_agents.shells.files import DeviceFolder
from fleetnas_agents.shells.shell import LinkError, RemoteError, split_exit_code, with_exit_code
from fleetnas_agents.shells.ssh import parse_ssh_address
from fleetnas_search_spaces.errors import InvalidArgumentError


@pytest.fixture
def shell(device: Any) -> Iterator[Any]:
    found = device.opener()(lambda: None)
    yield found
    found.close()


def push(shell: Any, local: Path, remote: Path) -> None:
    shell.push(local, str(remote), silence_s=20.0, progress=lambda: None)


def test_command_gives_its_output_and_exit_code(shell: Any) -> None:
    finished = shell.run("echo out; echo err >&2; exit 7", timeout_s=20.0)
    assert (finished.exit_code, sorted(finished.text.split())) == (7, ["err", "out"])


def test_command_may_contain_every_kind_of_quote(shell: Any) -> None:
    assert shell.run("""printf '%s' "a'b" 'c"d $x' `echo e`""", timeout_s=20.0).text == "a'bc\"d $xe"


def test_command_without_an_end_is_a_broken_link(shell: Any) -> None:
    with pytest.raises(LinkError, match=r"0\.5 s"):
        shell.run("sleep 30", timeout_s=0.5)


def test_pushed_file_is_the_same_byte_for_byte(shell: Any, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "local").write_bytes(content)
    push(shell, tmp_path / "local", tmp_path / "remote")
    assert (tmp_path / "remote").read_bytes() == content


@pytest.mark.parametrize("size_bytes", [0, 1, 65_536])
def test_file_of_any_size_arrives(shell: Any, tmp_path: Path, size_bytes: int) -> None:
    (tmp_path / "local").write_bytes(bytes(size_bytes))
    (tmp_path / "remote").write_bytes(b"an older and longer file" * 5000)
    push(shell, tmp_path / "local", tmp_path / "remote")
    assert (tmp_path / "remote").stat().st_size == size_bytes


def test_push_into_a_folder_that_is_not_there_is_refused(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"x")
    with pytest.raises(RemoteError):
        push(shell, tmp_path / "local", tmp_path / "no" / "such")


def test_push_ends_with_what_its_progress_raises(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(bytes(1_000_000))

    def stop() -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        shell.push(tmp_path / "local", str(tmp_path / "remote"), silence_s=20.0, progress=stop)
    assert shell.run("echo on", timeout_s=20.0).text == "on\n"


def test_stream_gives_output_as_it_comes_and_then_the_end(shell: Any) -> None:
    stream = shell.start("echo one; sleep 0.2; echo two")
    parts = [stream.read(20.0)]
    while part := stream.read(20.0):
        parts.append(part)
    stream.close()
    assert b"".join(parts).split() == [b"one", b"two"]


def test_quiet_stream_times_out_and_goes_on(shell: Any) -> None:
    stream = shell.start("sleep 1; echo late")
    with pytest.raises(TimeoutError):
        stream.read(0.05)
    assert stream.read(20.0).strip() == b"late"
    stream.close()


def test_closing_a_stream_ends_the_commands_input(shell: Any, tmp_path: Path, until: Any) -> None:
    stream = shell.start(f"echo ready; cat; touch {tmp_path}/ended")
    assert stream.read(20.0).strip() == b"ready"
    stream.close()
    stream.close()
    until((tmp_path / "ended").exists, "the command saw its input end")


def test_pulled_cable_is_a_broken_link(shell: Any, device: Any) -> None:
    stream = shell.start("sleep 30")
    threading.Timer(0.3, device.cable.pull).start()
    try:
        deadline_s = time.monotonic() + 20.0
        while time.monotonic() < deadline_s:
            try:
                if stream.read(0.2) == b"":
                    break  # some links only end; the missing exit code tells them apart
            except TimeoutError:
                continue
            except LinkError:
                break
        else:
            pytest.fail("the end was not seen")
        with pytest.raises(LinkError):
            shell.run("echo", timeout_s=5.0)
    finally:
        stream.close()


def test_files_unused_for_longest_leave_a_cache_that_is_full(shell: Any, device: Any, tmp_path: Path) -> None:
    folder = DeviceFolder(shell, str(device.folder), cache_kib=300)
    folder.prepare()
    files = {}
    for index in range(4):
        local = tmp_path / f"file{index}"
        local.write_bytes(bytes([index]) * 100_000)
        files[hashlib.sha256(local.read_bytes()).hexdigest()] = local
        folder.put(files, silence_s=20.0, progress=lambda: None)
    first, *_, last = files
    folder.put({first: files[first]}, silence_s=20.0, progress=lambda: None)
    folder.drop_job(folder.new_job())
    kept = {one.name for one in (device.folder / "cache").iterdir()}
    assert {first, last} >= kept
    assert first in kept


def test_deleted_runner_is_copied_again(
    device: Any, make_driver: Any, fake_runner: Any, make_job: Any
) -> None:
    driver = make_driver(device, fake_runner("echo fault model ran; exit 1"))
    driver.describe()
    for one in (device.folder / "cache").iterdir():
        one.unlink()
    with pytest.raises(MeasureError, match="ran"):
        asyncio.run(driver.measure(*make_job()))
    asyncio.run(driver.close())


def test_output_without_an_exit_code_is_not_whole() -> None:
    with pytest.raises(LinkError, match="too early"):
        split_exit_code("half an answ")


def test_exit_code_is_found_behind_any_output() -> None:
    assert "echo fleetnas-exit-code" in with_exit_code("true")
    assert split_exit_code("fleetnas-exit-code 3\r\nfleetnas-exit-code 0\r\n").exit_code == 0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pi@board", ("pi", "board", 22)),
        ("a@10.0.0.1:2222", ("a", "10.0.0.1", 2222)),
        ("a@[::1]:5", ("a", "::1", 5)),
    ],
)
def test_ssh_address_is_read(text: str, parts: tuple[str, str, int]) -> None:
    found = parse_ssh_address(text)
    assert (found.user, found.host, found.port) == parts


@pytest.mark.parametrize("text", ["", "board", "@board", "pi@", "pi@board:0", "pi@board:99999", "pi@a b"])
def test_text_that_is_no_ssh_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--ssh"):
        parse_ssh_address(text)
