import sqlite3
from typing import Any

import pytest
from sqlite_utils import Database
from tests.controller.conftest import MadeUpAccuracy, MadeUpCurves

from fleetnas_controller.early_stops import early_stop_document, early_stop_line
from fleetnas_controller.evaluation import check_early_stop
from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.random_search import RandomSearch
from fleetnas_controller.strategies.strategy import Outcome
from fleetnas_controller.trial_migrations import trial_migrations
from fleetnas_controller.trial_store import SqliteTrials, read_trials
from fleetnas_controller.trials import TrialPhase, TrialState
from fleetnas_search_spaces.errors import InvalidArgumentError, UnavailableError

_SETTINGS: dict[str, Any] = {"strategy": "random", "budget": 30, "accuracy": MadeUpCurves()}


def _stopped(outcome: SearchOutcome) -> list[tuple[int, int]]:
    """Number and epochs of the trials that were ended."""
    return [
        (one.number, one.curve.epochs)
        for one in outcome.trials
        if one.state is TrialState.STOPPED and one.curve
    ]


@pytest.mark.parametrize("rule", ["median", "halving"])
def test_trainings_that_do_not_promise_enough_end_early_and_are_never_the_answer(
    searching: Any, rule: str
) -> None:
    outcome = searching.run("one", early_stop=rule, **_SETTINGS)
    stopped = {one.architecture for one in outcome.trials if one.state is TrialState.STOPPED}
    assert len(stopped) >= 5
    assert outcome.found is not None
    assert not stopped & {outcome.found, *outcome.ranking}
    assert all(one.curve is None for one in outcome.trials if one.phase is TrialPhase.CONFIRM)


def test_a_front_holds_no_network_whose_training_was_ended(searching: Any) -> None:
    outcome = searching.run("one", early_stop="median", objectives=("accuracy", "latency"), **_SETTINGS)
    assert outcome.front
    assert not {one.architecture for one in outcome.trials if one.state is TrialState.STOPPED} & set(
        outcome.front
    )


@pytest.mark.parametrize("strategy", ["random", "predictor", "evolution"])
def test_killed_search_ends_the_same_trainings_as_the_unbroken_one(searching: Any, strategy: str) -> None:
    settings = {**_SETTINGS, "strategy": strategy, "early_stop": "median", "max_latency_ms": 2.8}
    whole = searching.run("whole", **settings)
    for gone_after in (1, 4, 9, 7):
        with pytest.raises(UnavailableError):
            searching.run("broken", searching.fleet(gone_after), **settings)
    broken = searching.run("broken", **settings)
    assert _stopped(whole)
    assert _stopped(broken) == _stopped(whole)
    assert (broken.found, broken.ranking) == (whole.found, whole.ranking)


def test_strategies_hear_the_estimate_of_what_was_not_trained_to_the_end(searching: Any) -> None:
    heard: list[Outcome] = []

    class Listening(RandomSearch):
        def tell(self, outcome: Outcome, rng: Any) -> None:
            heard.append(outcome)
            super().tell(outcome, rng)

    outcome = searching.run(
        "one", early_stop="median", make_strategy=lambda problem: Listening(problem), **_SETTINGS
    )
    accuracies = {one.number: one.accuracy for one in heard}
    exact = MadeUpAccuracy()
    last = max(number for number, _ in _stopped(outcome))
    true = exact.evaluate(searching.space.parse(outcome.trials[last].architecture), 0).value_percent
    assert accuracies[last] == pytest.approx(true, abs=1.5)
    assert outcome.trials[last].accuracy < true - 5.0


def test_the_document_says_which_were_ended_when_and_what_that_saved(searching: Any) -> None:
    outcome = searching.run("one", early_stop="halving", **_SETTINGS)
    config = SearchConfig("one", "tiny", "random", "made up", ("near",), early_stop="halving")
    told = early_stop_document(config, outcome.trials)
    assert told is not None
    assert [(one["trial"], one["epochs"]) for one in told["stopped"]] == _stopped(outcome)
    assert told["saved_epochs"] == sum(9 - epochs for _, epochs in _stopped(outcome)) > 0
    assert told["spent_epochs"] + told["saved_epochs"] == 9 * told["trainings"]
    assert f"{len(told['stopped'])} of {told['trainings']} trainings were ended" in early_stop_line(
        {"early_stop": told}
    )


def test_unknown_rules_and_sources_without_curves_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="did you mean 'halving'"):
        check_early_stop(MadeUpCurves(), "halfing")
    with pytest.raises(InvalidArgumentError, match="no accuracies after fewer epochs"):
        check_early_stop(MadeUpAccuracy(), "median")


def test_a_store_of_an_older_version_is_read_and_gets_its_column(searching: Any) -> None:
    searching.run("one", strategy="random", budget=4)
    path = searching.runs_dir / "one" / "store.db"
    with sqlite3.connect(path) as db:
        db.execute("alter table trials drop column curve")
        db.execute("delete from _sqlite_migrations where name = 'm003_curves'")
    assert [one.curve for one in read_trials(path, "one")] == [None] * 4
    database = Database(path)
    assert [one.name for one in trial_migrations.pending(database)] == ["m003_curves"]
    assert [one.curve for one in SqliteTrials(database).trials("one")] == [None] * 4
