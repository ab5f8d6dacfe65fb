from itertools import product

import numpy as np
import pytest

from fleetnas_controller.strategies.hypervolume import (
    Beliefs,
    expected_gain,
    hypervolume,
    log_room,
    nondominated,
)

_FRONT = np.array([[2.0, 6.0], [4.0, 3.0], [7.0, 1.0]])
_WORST = np.array([10.0, 8.0])
_BELIEFS = Beliefs(
    np.log([[3.0, 2.0], [9.0, 7.0], [1.0, 5.0]]), np.array([[0.3, 0.4], [0.1, 0.1], [0.2, 0.6]])
)


def test_volume_of_a_staircase_is_the_sum_of_its_steps() -> None:
    assert hypervolume(_FRONT, _WORST) == pytest.approx(3 * 2 + 6 * 3 + 8 * 2)


def test_points_beyond_the_corner_have_no_volume() -> None:
    assert hypervolume(np.array([[11.0, 1.0], [1.0, 8.0]]), _WORST) == 0.0


def test_volume_in_three_dimensions_agrees_with_counting_cells() -> None:
    points = np.array([[1.0, 4.0, 3.0], [3.0, 2.0, 4.0], [4.0, 4.0, 1.0], [2.0, 3.0, 3.0]])
    cells = np.array(list(product(range(5), repeat=3)), dtype=float)
    dominated = np.any([(cells >= point).all(axis=1) for point in points], axis=0)
    assert hypervolume(points, np.full(3, 5.0)) == pytest.approx(dominated.sum())


def test_equal_and_dominated_points_are_sorted_out() -> None:
    points = np.array([[3.0, 3.0], [1.0, 4.0], [3.0, 3.0], [4.0, 3.0], [2.0, 4.0]])
    assert nondominated(points).tolist() == [0, 1]


@pytest.mark.parametrize("third", [False, True])
def test_expected_gain_agrees_with_simulation(third: bool) -> None:
    front, worst, beliefs = _FRONT, _WORST, _BELIEFS
    if third:
        front = np.column_stack([front, [2.0, 5.0, 3.0]])
        worst = np.append(worst, 6.0)
        column = np.log([[2.0], [3.0], [4.0]])
        beliefs = Beliefs(np.hstack([beliefs.mean, column]), np.hstack([beliefs.std, np.full((3, 1), 0.3)]))
    rng = np.random.default_rng(0)
    base = hypervolume(front, worst)
    for row, gain in enumerate(expected_gain(beliefs, front, worst)):
        draws = np.exp(beliefs.mean[row] + beliefs.std[row] * rng.standard_normal((1_500, front.shape[1])))
        gains = [hypervolume(np.vstack([front, draw]), worst) - base for draw in draws]
        assert gain == pytest.approx(np.mean(gains), abs=4.0 * np.std(gains) / np.sqrt(1_500) + 1e-9)


def test_a_quantity_known_exactly_adds_its_exact_volume() -> None:
    beliefs = Beliefs(np.log([[3.0, 2.0]]), np.zeros((1, 2)))
    gain = expected_gain(beliefs, _FRONT, _WORST)[0]
    assert gain == pytest.approx(
        hypervolume(np.vstack([_FRONT, [[3.0, 2.0]]]), _WORST) - hypervolume(_FRONT, _WORST)
    )


def test_without_a_front_the_whole_box_is_gained() -> None:
    beliefs = Beliefs(np.log([[3.0, 2.0]]), np.zeros((1, 2)))
    assert expected_gain(beliefs, _FRONT[:0], _WORST)[0] == pytest.approx(7.0 * 6.0)


def test_room_is_the_factor_to_the_nearest_better_point() -> None:
    beliefs = Beliefs(np.log([[3.0, 2.0], [8.0, 4.0]]), np.zeros((2, 2)))
    room = log_room(beliefs, _FRONT, _WORST)
    assert room[0] == pytest.approx(np.log(3.0 / 2.0))  # against (4, 3)
    assert room[1] == pytest.approx(np.log(3.0 / 4.0))
