from fleetnas_controller.ranking import front_observed, next_of_front
from fleetnas_controller.strategies.strategy import Cap, CapKind, Cost, Outcome, Reading
from fleetnas_controller.trials import Trial, TrialPhase, TrialState
from fleetnas_search_spaces.architecture import Architecture

_COST = Cost(CapKind.LATENCY_MS, "phone")


def _outcome(number: int, choice: int, accuracy: float | None, latency_ms: float | None) -> Outcome:
    readings = {} if latency_ms is None else {"phone": Reading(latency_ms)}
    return Outcome(number, Architecture("tiny", (choice,), 8), accuracy, readings)


def _confirmed(text: str) -> Trial:
    return Trial(0, TrialPhase.CONFIRM, text, TrialState.FINISHED)


def test_front_holds_what_nothing_else_beats_by_descending_accuracy() -> None:
    outcomes = [
        _outcome(0, 0, 80.0, 1.0),
        _outcome(1, 1, 90.0, 3.0),
        _outcome(2, 2, 85.0, 3.5),  # beaten by 1
        _outcome(3, 3, 95.0, None),  # not measured
        _outcome(4, 4, None, 0.5),  # failed
    ]
    assert front_observed(outcomes, (), (_COST,)) == ("tiny/8/1", "tiny/8/0")


def test_front_goes_by_the_mean_of_several_trials() -> None:
    outcomes = [_outcome(0, 0, 80.0, 2.0), _outcome(1, 1, 82.0, 2.0), _outcome(2, 1, 76.0, 2.0)]
    assert front_observed(outcomes, (), (_COST,)) == ("tiny/8/0",)


def test_networks_over_a_cap_are_no_part_of_the_front() -> None:
    cap = Cap(CapKind.LATENCY_MS, 2.5, "phone")
    outcomes = [_outcome(0, 0, 80.0, 1.0), _outcome(1, 1, 90.0, 3.0)]
    assert front_observed(outcomes, (cap,), (_COST,)) == ("tiny/8/0",)


def test_both_ends_and_the_middle_of_a_front_are_confirmed_first() -> None:
    front, asked = ["a", "b", "c", "d", "e"], list[str]()
    while (text := next_of_front(front, [_confirmed(one) for one in asked], 3)) is not None:
        asked.append(text)
    assert asked == ["a", "c", "e", "b", "d"]


def test_a_front_of_one_is_confirmed_once() -> None:
    assert next_of_front(["a"], [], 3) == "a"
    assert next_of_front(["a"], [_confirmed("a")], 3) is None
