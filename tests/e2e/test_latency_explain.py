"""Where the latency goes, side by side on several devices."""

import json
import re
from pathlib import Path

import pytest

from fleetnas_controller.cli import main

COMMON = ("--space", "nas-bench-macro", "--explain")


@pytest.fixture
def two_phones(tmp_path: Path) -> Path:
    """A table in which the second phone takes three times as long."""
    table = tmp_path / "latency.db"
    for name, speed in (("quick", 1.0), ("slow", 3.0)):
        rows = [
            f"{a}{b}{c}00000,{speed * (2 + a + 3 * b + c)}"
            for a in range(3)
            for b in range(3)
            for c in range(3)
        ]
        file = tmp_path / f"{name}.csv"
        file.write_text("\n".join(["arch,latency_ms", *rows, ""]))
        assert main(["latency", "import", str(file), "--device-model", name, "--table", str(table)]) == 0
    return table


def test_two_devices_are_answered_one_beside_the_other(
    two_phones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "blocks.html"
    capsys.readouterr()
    words = ["latency", "predict", "22000000", "--device", "quick,slow", "--table", str(two_phones), *COMMON]
    assert main([*words, "--html", str(page), "--json"]) == 0
    quick, slow = json.loads(capsys.readouterr().out)["devices"]
    assert slow["predictions"][0]["mean_ms"] == pytest.approx(
        3 * quick["predictions"][0]["mean_ms"], rel=0.02
    )
    text = page.read_text()
    for document in (quick, slow):
        assert document["target"] in text
        for block in document["predictions"][0]["blocks"]:
            assert f"{block['mean_ms']:.4f}" in text
    assert text.count("data:image/png;base64") == 1
    assert not re.search(r"(src|href)='?https?:", text)


def test_page_without_explain_is_refused(
    two_phones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "blocks.html"
    words = ["latency", "predict", "22000000", "--device", "quick", "--table", str(two_phones)]
    assert main([*words, "--html", str(page)]) == 1
    assert "--explain" in capsys.readouterr().err
    assert not page.exists()


def test_page_in_no_folder_is_one_line(
    two_phones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["latency", "predict", "22000000", "--device", "quick", "--table", str(two_phones), *COMMON]
    assert main([*words, "--html", str(tmp_path / "none" / "blocks.html")]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
