import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError
from fleetnas_training.accuracy import Accuracy, CurvePoint, CurveSource
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.curve_table import CurveTable
from fleetnas_training.staged_training import RULES, StagedTraining, StoppingRule, halving, median_stop


def _network(number: int) -> Architecture:
    return Architecture("any", (number,), 8)


def _table(curves: Mapping[int, tuple[float, float]], *, resumable: bool = False) -> CurveTable:
    named = {_network(number).key: {12: early, 200: late} for number, (early, late) in curves.items()}
    return CurveTable("table", named, resumable=resumable, described="{} epochs")


_NEVER = StoppingRule(lambda before, value: False)


def test_the_best_fourth_goes_on() -> None:
    before = [float(value) for value in range(7)]
    assert halving(before, 5.5)
    assert not halving(before, 4.5)
    assert halving([], 0.0)


def test_half_goes_on_once_there_is_a_median() -> None:
    assert median_stop([90.0] * 4, 10.0)
    assert not median_stop([90.0] * 5, 89.0)
    assert median_stop([90.0] * 5, 90.0)


@pytest.mark.parametrize(("resumable", "spent"), [(False, 212), (True, 200)])
def test_a_longer_training_is_paid_whole_unless_it_goes_on_from_the_shorter(
    resumable: bool, spent: int
) -> None:
    staged = StagedTraining(_table({0: (60.0, 90.0)}, resumable=resumable), RULES["halving"])
    accuracy, curve = staged.train(_network(0), 0)
    assert (curve.finished, curve.epochs, curve.spent_epochs) == (True, 200, spent)
    assert curve.saved_epochs == 200 - spent
    assert curve.final_percent == accuracy.value_percent == 90.0


def test_an_ended_training_costs_what_it_took_and_says_how_far_it_came() -> None:
    accuracy, curve = StagedTraining(_table({0: (60.0, 90.0)}), _NEVER).train(_network(0), 0)
    assert (curve.finished, curve.epochs, curve.spent_epochs, curve.saved_epochs) == (False, 12, 12, 188)
    assert accuracy.value_percent == curve.final_percent == 60.0
    assert accuracy.fidelity == "12 epochs"


def test_what_an_ended_training_would_have_had_is_learned_from_those_that_ended_by_themselves() -> None:
    curves = {number: (60.0 + number, 80.0 + number) for number in range(12)}
    training = StagedTraining(_table(curves), StoppingRule(lambda before, value: len(before) < 11))
    for number in range(11):
        _, curve = training.train(_network(number), number)
        assert curve.finished
        training.remember(curve)
    _, ended = training.train(_network(11), 11)
    assert not ended.finished
    assert ended.final_percent == pytest.approx(91.0, abs=1.0)


def test_the_rule_is_asked_about_what_was_remembered_and_about_nothing_else() -> None:
    training = StagedTraining(_table({0: (60.0, 90.0), 1: (50.0, 90.0)}), RULES["halving"])
    for _ in range(2):
        _, best = training.train(_network(0), 0)
        assert best.finished
    assert training.train(_network(1), 1)[1].finished
    training.remember(best)
    assert not training.train(_network(1), 1)[1].finished


@pytest.mark.parametrize(
    ("rule", "decided"), [("halving", [2, 5, 20]), ("median", [*range(1, 20), *range(20, 80)])]
)
def test_halving_decides_at_a_fourth_and_its_powers_and_the_median_at_every_point(
    rule: str, decided: list[int]
) -> None:
    points = [CurvePoint(epochs, 80, Accuracy(50.0, 0.0, "", "")) for epochs in range(1, 80)]
    at = [one.epochs for one in points if RULES[rule].decides(one.epochs - 1, one)]
    assert at == decided


def test_unknown_networks_are_named() -> None:
    table = _table({0: (60.0, 90.0)})
    assert isinstance(table, CurveSource)
    with pytest.raises(NotFoundError, match="no accuracy of 'any/8/7'"):
        table.evaluate(_network(7), 0)


def test_nas_bench_201_is_read_from_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETNAS_DATA", str(tmp_path))
    with pytest.raises(FailedPreconditionError, match="set FLEETNAS_DATA"):
        accuracy_source("table:nas-bench-201")
    (tmp_path / "nasbench201").mkdir()
    with gzip.open(tmp_path / "nasbench201" / "accuracy.csv.gz", "wt") as file:
        file.write("index,edges,c10_test_200ep,c10_test_12ep,c10_val_12ep\n0,421211,85.863,69.55,63.364\n")
    source = accuracy_source("table:nas-bench-201")
    assert isinstance(source, CurveSource)
    one = Architecture("nas-bench-201", (4, 2, 1, 2, 1, 1), 32)
    assert source.evaluate(one, 0).value_percent == 85.863
    assert [(point.epochs, point.accuracy.value_percent) for point in source.curve(one, 0)] == [
        (12, 69.55),
        (200, 85.863),
    ]
