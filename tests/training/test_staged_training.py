import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from fleetnas_training.accuracy import CurveSource
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.curve_table import CurveTable
from fleetnas_training.staged_training import StagedTraining, halving, median_stop


def _network(number: int) -> Architecture:
    return Architecture("any", (number,), 8)


def _table(curves: Mapping[int, tuple[float, float]], *, resumable: bool = False) -> CurveTable:
    named = {_network(number).key: {12: early, 200: late} for number, (early, late) in curves.items()}
    return CurveTable("table", named, resumable=resumable, described="{} epochs")


def _never(before: object, value: float) -> bool:
    return False


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
    staged = StagedTraining(_table({0: (60.0, 90.0)}, resumable=resumable), halving).train(_network(0), 0)
    assert (staged.finished, staged.epochs, staged.spent_epochs) == (True, 200, spent)
    assert staged.final_percent == staged.accuracy.value_percent == 90.0


def test_an_ended_training_costs_what_it_took_and_says_how_far_it_came() -> None:
    staged = StagedTraining(_table({0: (60.0, 90.0)}), _never).train(_network(0), 0)
    assert (staged.finished, staged.epochs, staged.spent_epochs) == (False, 12, 12)
    assert staged.accuracy.value_percent == staged.final_percent == 60.0
    assert staged.accuracy.fidelity == "12 epochs"


def test_what_an_ended_training_would_have_had_is_learned_from_those_that_ended_by_themselves() -> None:
    curves = {number: (60.0 + number, 80.0 + number) for number in range(12)}
    training = StagedTraining(_table(curves), lambda before, value: len(before) < 11)
    for number in range(11):
        assert training.train(_network(number), number).finished
    ended = training.train(_network(11), 11)
    assert not ended.finished
    assert ended.final_percent == pytest.approx(91.0, abs=1.0)


def test_unknown_epochs_and_networks_are_named() -> None:
    table = _table({0: (60.0, 90.0)})
    assert isinstance(table, CurveSource)
    with pytest.raises(InvalidArgumentError, match="give one of 12, 200"):
        table.evaluate_at(_network(0), 0, 50)
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
    assert source.evaluate_at(one, 0, 12).value_percent == 69.55
