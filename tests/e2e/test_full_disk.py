"""A search on a disk that fills up, on a file system of its own. Needs the right to mount one."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.disks import fill

from fleetnas_controller.storage import open_database
from fleetnas_controller.trial_store import SqliteTrials

_SIZE_KIB = 48 << 10


def _command(table: Path, runs_dir: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "fleetnas_controller.cli", "search", "--json", "--replay", str(table), "--runs-dir",
        str(runs_dir), "--name", "one", "--latency-drop", "20%", "--budget", "12", "--seed", "2", *more,
    ]  # fmt: skip


def _finished(runs_dir: Path) -> list[tuple[str, float | None]]:
    store = runs_dir / "one" / "store.db"
    if not store.exists():
        return []
    trials = SqliteTrials(open_database(store)).trials("one")
    return [(one.architecture, one.accuracy) for one in trials if one.order >= 0]


def test_full_disk_ends_a_search_in_one_line_and_loses_nothing(
    made_up_table: Path, small_disk: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    disk = small_disk(tmp_path / "disk", _SIZE_KIB)
    unbroken = subprocess.run(_command(made_up_table, tmp_path / "whole"), capture_output=True, check=True)
    process = subprocess.Popen(
        _command(made_up_table, disk), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60.0
    while not _finished(disk) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    ballast = fill(disk)
    _, said = process.communicate(timeout=90.0)
    assert process.returncode == 1, said
    assert said.strip().splitlines()[-1].startswith("fleetnas: no space left"), said
    ballast.unlink()
    kept = _finished(disk)
    assert kept
    resumed = subprocess.run(
        _command(made_up_table, disk, "--resume"), capture_output=True, check=True, text=True
    )
    assert json.loads(resumed.stdout)["found"] == json.loads(unbroken.stdout)["found"]
    assert _finished(disk) == _finished(tmp_path / "whole")
    assert _finished(disk)[: len(kept)] == kept


def test_search_that_begins_on_a_full_disk_says_so(
    made_up_table: Path, small_disk: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    disk = small_disk(tmp_path / "disk", _SIZE_KIB)
    fill(disk)
    ended = subprocess.run(
        _command(made_up_table, disk), capture_output=True, check=False, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("fleetnas: no space left"), ended.stderr
