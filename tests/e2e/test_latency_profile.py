"""Profiles through the real server, agent and protocol; the device plays a table."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main

COSTS_MS = (0.0, 0.5, 2.0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Every network of the space, its latency a sum over slots."""
    path = tmp_path / "table.csv"
    lines = []
    for code in itertools.product(range(3), repeat=8):
        latency_ms = 2.0 + sum(COSTS_MS[digit] * (1 + slot % 3) for slot, digit in enumerate(code))
        lines.append(f"{''.join(map(str, code))},{latency_ms:.4f}")
    path.write_text("\n".join(["arch,latency_ms", *lines]) + "\n")
    return path


def _profile(capsys: pytest.CaptureFixture[str], table: Path, *more: str) -> dict[str, Any]:
    runs_dir = table.parent / "runs"
    common = ["--replay", str(table), "--runs-dir", str(runs_dir), "--json"]
    assert main(["latency", "profile", *common, *more]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_profile_fills_the_table_and_says_what_more_would_bring(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    document = _profile(capsys, table, "--budget", "8")
    assert document["networks"] == 8
    assert 0.0 < document["foreseen_median_error"] <= document["median_error"]
    assert {"overhead"} < {one["key"] for one in document["entries"]}
    common = ["--table", str(table.parent / "runs" / "latency.db"), "--device", "replay", "--json"]
    assert main(["latency", "predict", "11111111", *common]) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["networks_measured"] == 8
    assert main(["latency", "coverage", *common]) == 0
    assert json.loads(capsys.readouterr().out)["entries"]


def test_second_profile_goes_on_from_the_table(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    first = _profile(capsys, table, "--budget", "5")
    second = _profile(capsys, table, "--budget", "5")
    assert first["networks"] == 5
    assert second["networks"] == 9  # the reference is measured again, as the anchor of the day
    assert second["median_error"] < first["median_error"]


def test_profile_ends_at_the_error_that_was_asked_for(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    document = _profile(capsys, table, "--budget", "30", "--error", "20")
    assert document["median_error"] <= 0.2
    assert document["networks"] < 10


def test_network_that_cannot_be_measured_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith("1")) + "\n")
    document = _profile(capsys, table, "--budget", "10", "--seed", "1")
    assert document["networks"] + len(document["faults"]) == 10
    assert document["faults"]
    assert {architecture[0] for architecture in document["faults"]} == {"1"}


def test_too_small_a_budget_is_refused(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    assert main(["latency", "profile", "--replay", str(table), "--budget", "3"]) == 1
    assert "give 4 or more" in capsys.readouterr().err
