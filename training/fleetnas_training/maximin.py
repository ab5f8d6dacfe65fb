"""Points spread over a cloud."""

__all__ = ["maximin"]

import numpy as np
from numpy.typing import NDArray


def maximin(points: NDArray[np.float64], count: int, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Adds, again and again, the point farthest from those chosen; ties go to the first.

    Args:
        points: Shape ``(N, D)``.
        count: How many to choose in all, ``start`` included; no more than ``N`` come back.
        start: Rows chosen beforehand, at least one.

    Returns:
        Rows in the order of choice, ``start`` first.
    """
    chosen = list(start)
    distance = np.full(len(points), np.inf)
    for row in chosen:
        distance = np.minimum(distance, np.square(points - points[row]).sum(axis=1))
    distance[start] = -1.0
    while len(chosen) < min(count, len(points)):
        row = int(np.argmax(distance))
        chosen.append(row)
        distance = np.minimum(distance, np.square(points - points[row]).sum(axis=1))
        distance[row] = -1.0
    return np.array(chosen, dtype=np.int64)
