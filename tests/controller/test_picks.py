import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_controller.picks import choose_picks, knee
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError


def _architectures(*texts: str) -> list[Architecture]:
    return [Architecture("any", tuple(map(int, text)), 8) for text in texts]


def _front(*latencies_ms: float) -> NDArray[np.float64]:
    """Errors fall evenly from member to member."""
    return np.array([[10.0 - row, ms] for row, ms in enumerate(latencies_ms)])


def test_knee_is_where_more_accuracy_begins_to_cost_much() -> None:
    assert knee(_front(1.0, 1.1, 1.2, 5.0, 9.0)) == 2


def test_knee_does_not_hang_on_units() -> None:
    points = _front(1.0, 1.1, 1.2, 5.0, 9.0)
    assert knee(points * [1.0, 1e6]) == knee(points * [1e-3, 1.0]) == 2


def test_front_without_a_bend_gives_its_most_accurate() -> None:
    assert knee(_front(1.0, 2.0)) == 1
    assert knee(_front(1.0)) == 0


def test_each_kind_of_network_is_picked_once() -> None:
    architectures = _architectures("0000", "0001", "0010", "3333", "3332", "1212", "1213")
    picks = choose_picks(_front(1, 2, 3, 4, 5, 6, 7), architectures, 3)
    kinds = {architectures[one.row].choices[0] for one in picks}
    assert kinds == {0, 3, 1}
    assert sorted(one.stands_for for one in picks) == [2, 2, 3]


def test_knee_is_among_the_picks_and_only_once() -> None:
    points = _front(1.0, 1.1, 1.2, 5.0, 9.0)
    picks = choose_picks(points, _architectures("00", "11", "22", "01", "10"), 3)
    assert [one.row for one in picks if one.is_knee] == [2]
    assert len({one.row for one in picks}) == 3


def test_small_front_is_picked_whole() -> None:
    picks = choose_picks(_front(1.0, 2.0), _architectures("00", "01"), 5)
    assert [(one.row, one.stands_for) for one in picks] == [(0, 1), (1, 1)]


def test_no_exchange_of_medoids_would_help() -> None:
    rng = np.random.default_rng(3)
    choices = rng.integers(0, 4, (25, 6))
    architectures = [Architecture("any", tuple(map(int, row)), 8) for row in choices]
    points = _front(*np.sort(rng.random(25)))
    distance = (choices[:, None] != choices[None]).sum(axis=2)
    picks = choose_picks(points, architectures, 4)
    rows = [one.row for one in picks]
    cost = distance[:, rows].min(axis=1).sum()
    for place, one in enumerate(picks):
        for row in range(25):
            exchanged = [*rows[:place], row, *rows[place + 1 :]]
            assert one.is_knee or distance[:, exchanged].min(axis=1).sum() >= cost


def test_no_picks_is_no_request() -> None:
    with pytest.raises(InvalidArgumentError, match="give 1 or more"):
        choose_picks(_front(1.0), _architectures("0"), 0)
