"""A small version of `benchmarks/fleet_load.py`: every fault on, and a controller that is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "fleet_load.py"


@pytest.mark.slow
def test_fleet_under_load_keeps_every_promise(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--jobs", "200", "--agents", "8", "--kills", "3"]
    run = subprocess.run(
        [*command, "--limit-s", "150", "--keep", str(tmp_path), "--json"],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    figures = {line["name"]: line["value"] for line in map(json.loads, run.stdout.splitlines())}
    assert figures["broken_promises"] == 0
    assert '"state done"' in run.stderr
