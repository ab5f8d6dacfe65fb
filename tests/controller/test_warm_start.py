import sqlite3
from typing import Any

import pytest

from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.trials import TrialPhase
from fleetnas_search_spaces.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)


def _proposed(outcome: SearchOutcome) -> list[str]:
    return [one.architecture for one in outcome.trials if one.phase is TrialPhase.SEARCH]


def _steps(outcome: SearchOutcome) -> list[tuple[int, str, str, int]]:
    return [(one.number, one.phase, one.architecture, one.order) for one in outcome.trials]


@pytest.mark.parametrize("strategy", ["predictor", "evolution"])
def test_what_an_earlier_search_evaluated_on_this_target_is_not_evaluated_again(
    searching: Any, strategy: str
) -> None:
    earlier = searching.run("earlier", max_latency_ms=2.8)
    later = searching.run("later", max_latency_ms=2.5, warm_start="earlier", strategy=strategy, budget=12)
    assert not set(_proposed(later)) & set(_proposed(earlier))
    taken_over = [one for one in later.trials if one.phase is TrialPhase.EARLIER]
    assert len(taken_over) == 20


def test_a_network_that_only_the_earlier_search_evaluated_may_be_the_answer_once_confirmed(
    searching: Any,
) -> None:
    searching.run("earlier", max_latency_ms=2.8)
    later = searching.run("later", max_latency_ms=2.8, warm_start="earlier", strategy="random", budget=4)
    assert later.found is not None
    assert later.found not in _proposed(later)
    assert [one.phase for one in later.trials if one.architecture == later.found][-1] is TrialPhase.CONFIRM


def test_on_another_target_the_best_of_the_earlier_search_are_proposed_first(searching: Any) -> None:
    earlier = searching.run("earlier", max_latency_ms=2.75)
    later = searching.run("later", max_latency_ms=27.5, warm_start="earlier", devices=("far",))
    assert _proposed(later)[0] == earlier.found
    assert all(not one.readings for one in later.trials if one.phase is TrialPhase.EARLIER)


def test_accuracies_of_another_source_are_not_mixed_in(searching: Any) -> None:
    searching.run("earlier", max_latency_ms=2.8)
    later = searching.run("later", max_latency_ms=2.8, warm_start="earlier", accuracy="another source")
    taken_over = [one for one in later.trials if one.phase is TrialPhase.EARLIER]
    assert all(one.accuracy is None and one.readings for one in taken_over)


def test_front_holds_what_the_earlier_search_found(searching: Any) -> None:
    earlier = searching.run("earlier", objectives=("accuracy", "latency"), budget=30)
    later = searching.run(
        "later", objectives=("accuracy", "latency"), warm_start="earlier", strategy="random", budget=4
    )
    assert len(set(earlier.front) & set(later.front)) >= len(earlier.front) - 3


@pytest.mark.parametrize("devices", [("near",), ("far",)])
def test_killed_search_with_a_warm_start_goes_on_as_the_unbroken_one(
    searching: Any, devices: tuple[str, ...]
) -> None:
    searching.run("earlier", max_latency_ms=2.8)
    settings: dict[str, Any] = {
        "warm_start": "earlier",
        "latency_drop": 0.3,
        "devices": devices,
        "start_from": ("111",),
    }
    whole = searching.run("whole", **settings)
    for gone_after in (1, 4, 9):
        with pytest.raises(UnavailableError):
            searching.run("broken", searching.fleet(gone_after), **settings)
    (searching.runs_dir / "earlier" / "store.db").unlink()  # the earlier search is not needed any more
    assert _steps(searching.run("broken", **settings)) == _steps(whole)


def test_named_architectures_are_proposed_first_and_each_once(searching: Any) -> None:
    outcome = searching.run("one", start_from=("0,1,2", "333", "012", "220"), strategy="random")
    assert _proposed(outcome)[:2] == ["012", "220"]  # 333 is the reference, which is evaluated anyway
    assert _proposed(outcome).count("012") == 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"warm_start": "earlyer"}, NotFoundError, "did you mean 'earlier'"),
        ({"warm_start": "empty"}, FailedPreconditionError, "has finished no trial"),
        ({"warm_start": "other"}, InvalidArgumentError, "one of space 'fbnet'"),
        ({"start_from": ("9",)}, InvalidArgumentError, "3 choices"),
        (
            {"start_from": ("000", "001", "002"), "budget": 4},
            InvalidArgumentError,
            "do not fit a budget of 4",
        ),
    ],
)
def test_unusable_starts_are_refused(
    searching: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    searching.run("earlier", strategy="random", budget=4)
    with pytest.raises(UnavailableError):
        searching.run("empty", searching.fleet(0))
    searching.run("other", strategy="random", budget=4)
    with sqlite3.connect(searching.runs_dir / "other" / "store.db") as database:
        database.execute("""update searches set config = replace(config, '"tiny"', '"fbnet"')""")
    with pytest.raises(error, match=message):
        searching.run("later", **settings)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("update searches set config = '[1]'", "unreadable"),
        ('update searches set config = replace(config, \'"budget": 20\', \'"budget": "x"\')', "unreadable"),
        ("update trials set readings = '[]'", "stored trial is unreadable"),
        ("update trials set readings = '{\"near\": 3}'", "stored trial is unreadable"),
        ("update trials set phase = 'nonsense'", "stored trial is unreadable"),
        ("update trials set accuracy = 'high'", "stored trial is unreadable"),
        ("update trials set predicted_ms = '{\"near\": []}'", "stored trial is unreadable"),
    ],
)
def test_damaged_earlier_store_is_told_in_one_line(searching: Any, damage: str, message: str) -> None:
    searching.run("earlier", strategy="random")
    with sqlite3.connect(searching.runs_dir / "earlier" / "store.db") as database:
        database.execute(damage)
    with pytest.raises(DataLossError, match=message):
        searching.run("later", warm_start="earlier")


def test_nested_json_in_an_earlier_store_is_told_in_one_line(searching: Any) -> None:
    searching.run("earlier", strategy="random", budget=4)
    with sqlite3.connect(searching.runs_dir / "earlier" / "store.db") as database:
        database.execute("update trials set readings = ?", ["[" * 200_000])
    with pytest.raises(DataLossError, match="stored trial is unreadable"):
        searching.run("later", warm_start="earlier")
