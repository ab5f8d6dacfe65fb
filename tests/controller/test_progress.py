"""What a search says while it runs."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.pending_trial import PendingTrial
from fleetnas_controller.progress import SearchProgress
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.architecture import SearchSpace

from .conftest import AnsweringFleet

CONFIG = SearchConfig(name="one", space="tiny", strategy="random", accuracy="made up", devices=("bench",))
TRIAL = Trial(number=3, phase=TrialPhase.SEARCH, architecture="1,1,1", macs=1, params=1)


def _judged(fleet: AnsweringFleet, verdicts: Sequence[Verdict]) -> list[MeasurementRecord]:
    """The measurements of one trial, one after the other, each judged as told."""
    records: list[MeasurementRecord] = []

    def request(device: str, attempt: int) -> str:
        files = (ModelFile("1,1,1", "0" * 64, 1),)
        asked = MeasurementRequest(
            measurement_id=f"one-{attempt}",
            files=files,
            entry_file="1,1,1",
            anchor_entry_file="1,1,1",
            plan=Plan(),
            selector=Selector(device=device),
        )
        made = fleet.create_measurement(asked)
        assert made.result is not None
        records.append(replace(made, device=device, result=replace(made.result, verdict=verdicts[attempt])))
        return made.name

    pending = PendingTrial(TRIAL, ("bench",), request, 0.0)
    again = [pending.accept(records[attempt]) for attempt in range(len(verdicts))]
    assert again == [True] * (len(verdicts) - 1) + [False]
    return records


def test_measurement_that_does_not_count_is_told_at_once(
    tiny_space: SearchSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = AnsweringFleet(tiny_space, {"bench": 1.0})
    records = _judged(fleet, [Verdict.CONTENDED, Verdict.THROTTLED, Verdict.OK])
    with SearchProgress(CONFIG) as progress:
        for record in records[:-1]:
            progress.repeated(TRIAL, record)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "search 1,1,1: bench contended, measured again",
        "search 1,1,1: bench throttled, measured again",
    ]


def test_quiet_search_says_nothing(tiny_space: SearchSpace, capsys: pytest.CaptureFixture[str]) -> None:
    records = _judged(AnsweringFleet(tiny_space, {"bench": 1.0}), [Verdict.CONTENDED, Verdict.OK])
    with SearchProgress(CONFIG, quiet=True) as progress:
        progress.repeated(TRIAL, records[0])
    assert capsys.readouterr() == ("", "")
