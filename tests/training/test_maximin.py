import numpy as np

from fleetnas_training.maximin import maximin


def test_the_farthest_point_comes_next() -> None:
    points = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert maximin(points, 3, np.array([0])).tolist() == [0, 2, 3]


def test_no_more_than_there_are_and_none_twice() -> None:
    points = np.zeros((5, 2))
    assert sorted(maximin(points, 9, np.array([3, 1])).tolist()) == [0, 1, 2, 3, 4]
