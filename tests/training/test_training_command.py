import sys
import time
from pathlib import Path

import pytest

from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
    InvalidArgumentError,
    NotFoundError,
)
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy import CurveSource
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.staged_training import StagedTraining, StoppingRule

_REFERENCE = space("nas-bench-macro").reference


def _source(folder: Path, program: str) -> CurveSource:
    path = folder / "train.py"
    path.write_text(f"import sys\n{program}\n")
    source = accuracy_source(f"training:{sys.executable} '{path}'")
    assert isinstance(source, CurveSource)
    return source


def test_a_program_trains_the_network_it_is_told_and_prints_its_curve(tmp_path: Path) -> None:
    source = _source(
        tmp_path,
        "architecture, seed = sys.argv[1:]\n"
        "print('loading data')\n"
        "print('epoch 1/3 accuracy', 10 + int(seed))\n"
        "print('epoch 3/3 accuracy', architecture.count('2') / 2)",
    )
    points = [(one.epochs, one.all_epochs, one.accuracy.value_percent) for one in source.curve(_REFERENCE, 7)]
    assert points == [(1, 3, 17.0), (3, 3, 4.0)]
    accuracy = source.evaluate(_REFERENCE, 7)
    assert (accuracy.value_percent, accuracy.fidelity, accuracy.source) == (4.0, "3 epochs", source.name)


def test_an_ended_training_is_killed_with_what_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    source = _source(
        tmp_path,
        "import pathlib, subprocess, time\n"
        "loop = 'import sys, time, pathlib\\nwhile True:\\n pathlib.Path(sys.argv[1]).touch(); time.sleep(.01)'\n"
        f"alive = pathlib.Path({str(alive)!r})\n"
        "subprocess.Popen([sys.executable, '-c', loop, str(alive)], stdout=subprocess.DEVNULL)\n"
        "while not alive.exists(): time.sleep(.01)\n"
        "print('epoch 1/100 accuracy 10')\n"
        "time.sleep(600)",
    )
    began = time.monotonic()
    _, curve = StagedTraining(source, StoppingRule(lambda before, value: False)).train(_REFERENCE, 0)
    assert (curve.epochs, curve.finished, curve.saved_epochs) == (1, False, 99)
    assert time.monotonic() - began < 300.0
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('done')", "ended before its last epoch"),
        ("print('epoch 1/2 accuracy 50')", "ended before its last epoch"),
        ("print('epoch 1/2 accuracy nan')", "from 0 to 100 percent"),
        ("print('epoch 1/2 accuracy 0.5x')", "from 0 to 100 percent"),
        ("print('epoch 3/2 accuracy 50')", "'epoch 3/2 accuracy 50' after epoch 0"),
        ("print('epoch 2/3 accuracy 50\\nepoch 1/3 accuracy 50')", "'epoch 1/3 accuracy 50' after epoch 2"),
        ("sys.exit('no data')", "ended with 1: no data"),
    ],
)
def test_a_program_that_fails_or_talks_nonsense_is_quoted(tmp_path: Path, program: str, message: str) -> None:
    with pytest.raises(FailedPreconditionError, match=message):
        _source(tmp_path, program).evaluate(_REFERENCE, 0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("training:", InvalidArgumentError, "names no command"),
        ("training:'", InvalidArgumentError, "No closing quotation"),
        ("training:no-such-program x", NotFoundError, "no program 'no-such-program'"),
    ],
)
def test_no_command_and_no_program_are_named(text: str, error: type[FleetNASError], message: str) -> None:
    with pytest.raises(error, match=message):
        accuracy_source(text).evaluate(_REFERENCE, 0)
