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
    said = capsys.readouterr()
    assert "a guess" in said.out
    assert said.err == (
        "warning: no device 'phone' in the latency table (it knows none yet): what follows is a guess.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_mistyped_device_is_guessed_with_a_warning_that_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(f"arch,latency_ms\n{NETWORK},21.5\n", encoding="utf-8")
    table = ["--table", str(tmp_path / "table.db"), "--space", "fbnet"]
    words = [
        "latency",
        "import",
        str(tmp_path / "table.csv"),
        "--device-model",
        "bench-7",
        "--unit",
        "ms",
        *table,
    ]
    assert main(words) == 0, capsys.readouterr().err
    capsys.readouterr()
    for typed, meant in (("bensh-7", "bench-7"), ("pixel33", "pixel3")):
        assert main(["latency", "predict", NETWORK, "--device", typed, *table, "--json"]) == 0
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert found["known_devices"] == ["bench-7"]
        assert f"no device '{typed}' in the latency table (it knows 'bench-7'): what" in found["missing"]
        assert f"Did you mean '{meant}'" in found["missing"]
        assert said.err == f"warning: {found['missing']}\n"


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
