"""A search on a disk that fills up, on a file system of its own. Needs the right to mount one."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetnas_controller.storage import open_database
from fleetnas_controller.trial_store import SqliteTrials

_SIZE_MIB = 48


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m", "tmpfs", str(folder)]
    try:
        allowed = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Takes all space that is left."""
    ballast = folder / "ballast"
    for size in (1 << 20, 1 << 12, 1):
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * size) == size:
                pass
    return ballast


def _command(table: Path, runs_dir: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "fleetnas_controller.cli", "search", "--json", "--replay", str(table), "--runs-dir",
        str(runs_dir), "--name", "one", "--latency-drop", "20%", "--budget", "24", "--seed", "2", *more,
    ]  # fmt: skip


def _finished(runs_dir: Path) -> list[tuple[str, float | None]]:
    store = runs_dir / "one" / "store.db"
    if not store.exists():
        return []
    trials = SqliteTrials(open_database(store)).trials("one")
    return [(one.architecture, one.accuracy) for one in trials if one.order >= 0]


def test_full_disk_ends_a_search_in_one_line_and_loses_nothing(
    made_up_table: Path, small_disk: Path, tmp_path: Path
) -> None:
    unbroken = subprocess.run(_command(made_up_table, tmp_path / "whole"), capture_output=True, check=True)
    process = subprocess.Popen(
        _command(made_up_table, small_disk), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60.0
    while not _finished(small_disk) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    ballast = _fill(small_disk)
    _, said = process.communicate(timeout=90.0)
    assert process.returncode == 1, said
    assert said.strip().splitlines()[-1].startswith("fleetnas: no space left"), said
    ballast.unlink()
    kept = _finished(small_disk)
    assert kept
    resumed = subprocess.run(
        _command(made_up_table, small_disk, "--resume"), capture_output=True, check=True, text=True
    )
    assert json.loads(resumed.stdout)["found"] == json.loads(unbroken.stdout)["found"]
    assert _finished(small_disk) == _finished(tmp_path / "whole")
    assert _finished(small_disk)[: len(kept)] == kept


def test_search_that_begins_on_a_full_disk_says_so(made_up_table: Path, small_disk: Path) -> None:
    _fill(small_disk)
    ended = subprocess.run(
        _command(made_up_table, small_disk), capture_output=True, check=False, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("fleetnas: no space left"), ended.stderr
