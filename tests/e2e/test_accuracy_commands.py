"""Accuracy models through the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleetnas_controller.cli import main
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_file import AccuracyFile, read_accuracy_file, write_accuracy_file
from fleetnas_training.accuracy_model import fit_accuracy_model
from fleetnas_training.accuracy_models.families import FAMILIES
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.trainings import Training, Trainings

_QUICK = ["--models", "gaussian-process,bayesian-ridge"]


def _digits(number: int) -> str:
    return np.base_repr(number * 97 % 6561, 3).zfill(8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "accuracy.json"
    words = ["--accuracy", "table:nas-bench-macro:single", "--sample", "30", *_QUICK, "--json"]
    assert main(["accuracy", "fit", *words, "--model", str(path)]) == 0
    return path


def _answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["accuracy", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_fitted_model_predicts_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "accuracy.json"
    words = ["--accuracy", "table:nas-bench-macro:single", "--sample", "30", *_QUICK]
    fitted = _answer(capsys, "fit", *words, "--model", str(model))
    assert {one["name"] for one in fitted["candidates"]} == {"gaussian-process", "bayesian-ridge"}
    assert fitted["chosen"] == fitted["candidates"][0]["name"]
    found = _answer(capsys, "predict", "22222222", "00000000", "--model", str(model))["predictions"]
    assert [one["architecture"] for one in found] == ["22222222", "00000000"]
    assert all(one["low_percent"] < one["mean_percent"] < one["high_percent"] for one in found)
    assert found[0]["mean_percent"] > found[1]["mean_percent"]


def test_best_of_a_sample_come_best_first(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["predict", "--top", "5", "--sample", "300", "--model", str(model)]
    found = [one["mean_percent"] for one in _answer(capsys, *words)["predictions"]]
    assert len(found) == 5
    assert found == sorted(found, reverse=True)


def test_file_of_architectures_is_read_line_by_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "listed.txt"
    listed.write_text("# mine\n22222222\n\n12021020\n")
    capsys.readouterr()
    assert main(["accuracy", "predict", str(listed), "--model", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [one.partition(":")[0] for one in lines[1:]] == ["22222222", "12021020"]


def test_table_of_all_models_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "trainings.csv"
    mean = accuracy_source("table:nas-bench-macro")
    macro = space("nas-bench-macro")
    codes = [_digits(number) for number in range(1, 25)]
    rows = [f"{one},{mean.evaluate(macro.canonical(macro.parse(one)), 0).value_percent}" for one in codes]
    table.write_text("\n".join(["arch,accuracy", *rows, ""]))
    path = tmp_path / "model.json"
    assert main(["accuracy", "fit", str(table), *_QUICK, "--model", str(path)]) == 0
    said = capsys.readouterr().out
    assert all(one in said for one in ("gaussian-process", "bayesian-ridge", "tau", "calibrated", "chosen:"))
    assert path.is_file()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_model_read_back_predicts_the_same_to_the_last_bit(family: str) -> None:
    macro, mean = space("nas-bench-macro"), accuracy_source("table:nas-bench-macro")
    networks = list(dict.fromkeys(macro.canonical(macro.parse(_digits(one))) for one in range(1, 40)))
    values = [mean.evaluate(one, 0).value_percent for one in networks]
    high = [Training(one, value, "50") for one, value in zip(networks[:20], values, strict=False)]
    low = [Training(one, value - 5.0, "5") for one, value in zip(networks, values, strict=True)]
    model, candidates = fit_accuracy_model(Trainings(macro, (*high, *low), ("5", "50")), [family])
    for candidate in candidates:
        there = model.with_candidate(candidate)
        raw = write_accuracy_file(AccuracyFile(there, "a test", [{"name": candidate.name}]))
        back = read_accuracy_file(raw)
        new = [macro.parse(_digits(one)) for one in range(40, 60)]
        for one in ("mean_percent", "low_percent", "high_percent"):
            assert np.array_equal(getattr(there.predict(new), one), getattr(back.model.predict(new), one))
        assert write_accuracy_file(back) == raw


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "is no accuracy model"),
        (lambda text: text.replace('"rho": 0.0', '"rho": 0.5'), "changed or cut"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "has version 2"),
        (lambda text: '{"format": "other"}', "no accuracy model"),
        (lambda text: "\x00\xff", "is no accuracy model"),
        (lambda text: "[" * 100_000, "is no accuracy model"),
    ],
)
def test_damaged_or_foreign_file_is_one_line(
    model: Path, damage: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model.write_text(damage(model.read_text()), encoding="latin-1")
    assert main(["accuracy", "predict", "22222222", "--model", str(model)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "one of the three"),
        (["fit", "--accuracy", "table:nas-bench-macro"], "give both"),
        (["fit", "no.csv"], "no.csv"),
        (["fit", "--run", "nowhere"], "no search 'nowhere'"),
        (["predict", "22222222", "--model", "no.json"], "no.json"),
    ],
)
def test_bad_question_is_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["accuracy", *words]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_architectures_and_a_sample_do_not_go_together(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["accuracy", "predict", "22222222", "--top", "3", "--sample", "9", "--model", str(model)]) == 1
    )
    assert "one of the two" in capsys.readouterr().err
