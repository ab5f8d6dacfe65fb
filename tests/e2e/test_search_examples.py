"""Examples of docs/search.md, as they stand there; a table plays the device and the budget is small."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from fleetnas_controller.cli import main

_PAGE = Path(__file__).parents[2] / "docs" / "search.md"


def test_training_program_of_the_page_is_run_and_ended_early(
    made_up_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(
        r"cat > train.py <<'END'\n(.*?\n)END\n(fleetnas search [^\n]*)", _PAGE.read_text(), re.S
    )
    assert example is not None
    (tmp_path / "train.py").write_text(example[1])
    monkeypatch.chdir(tmp_path)
    words = shlex.split(example[2].replace("training:python ", f"training:{sys.executable} "))[1:]
    assert main([*words, "--budget", "12", "--replay", str(made_up_table), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert "(20 epochs)" in result["found"]["accuracy_source"]
    assert result["early_stop"]["rule"] == "median"
    assert result["early_stop"]["stopped"]
