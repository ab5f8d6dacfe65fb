"""Any message that protobuf lets through ends in an answer or a typed error, and a refusal changes nothing."""

import os
import subprocess
import sys

import pytest
from tests.controller.fleet.fuzz_targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_anything_is_answered_or_refused_without_a_trace(name: str) -> None:
    TARGETS[name]()


def test_messages_that_coverage_leads_to_are_answered_or_refused() -> None:
    pytest.importorskip("atheris")
    command = [
        sys.executable,
        "-m",
        "tests.controller.fleet.atheris_run",
        "-runs=150",
        "-len_control=0",
        "-seed=1",
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Done 150 runs" in ended.stderr
