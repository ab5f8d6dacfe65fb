import json
from pathlib import Path

import pytest

from fleetnas_controller.cli import main


def test_missing_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "coverage", "--table", str(tmp_path / "none.db")]) == 1
    assert "none.db" in capsys.readouterr().err


def test_searched_networks_can_be_queried_and_others_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{a}{b}{c}00000,{1 + a + b + c}" for a in range(3) for b in range(3) for c in range(3)]
    table = tmp_path / "small.csv"
    table.write_text("\n".join(["arch,latency_ms", "22222222,9.0", *rows]) + "\n")
    search = ["search", "--replay", str(table), "--runs-dir", str(tmp_path), "--budget", "4", "--json"]
    main([*search, "--strategy", "random", "--max-latency-ms", "100"])
    capsys.readouterr()
    common = ["--table", str(tmp_path / "latency.db"), "--device", "replay", "--json"]
    assert main(["latency", "query", "22222222", *common]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["source"] == "measured"
    assert abs(entry["mean_ms"] - 9.0) < 0.2
    assert entry["low_ms"] < entry["mean_ms"] < entry["high_ms"]
    assert main(["latency", "predict", "11111111", "--explain", *common]) == 0
    prediction = json.loads(capsys.readouterr().out)["predictions"][0]
    assert prediction["source"] == "predicted"
    assert len(prediction["blocks"]) > 8
    assert main(["latency", "coverage", *common]) == 0
    assert any(one["source"] == "learned" for one in json.loads(capsys.readouterr().out)["entries"])
