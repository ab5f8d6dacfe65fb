"""`fleetnas latency predict` of a device that was never measured."""

import json
from pathlib import Path

import pytest

from fleetnas_controller.cli import main

NETWORK = "7818488874147327324245"


def test_device_never_met_is_guessed_from_published_ones_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["latency", "predict", NETWORK, "--space", "fbnet", "--device", "phone"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = found["predictions"][0]
    assert row["source"] == "guessed"
    assert row["shares"] == {"known": 0.0, "guessed": 1.0, "unknown": 0.0}
    assert found["networks_measured"] == 0
    assert "pixel3" in found["lenders"]
    assert "phone" in found["missing"]
    assert 0.0 < row["low_ms"] < row["mean_ms"] / 2.0
    assert row["high_ms"] > 2.0 * row["mean_ms"]
    assert "--budget 10" in found["forecast"]["command"]
    assert main(words) == 0
    assert "a guess" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_device_never_met_in_a_space_that_nobody_measured_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["latency", "predict", "22222222", "--device", "phone"]) == 1
    assert "no target 'phone'" in capsys.readouterr().err


def test_table_that_was_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["latency", "predict", NETWORK, "--space", "fbnet", "--table", str(tmp_path / "none.db")]
    assert main(words) == 1
    assert "none.db" in capsys.readouterr().err
