"""The front of accuracy and costs: its volume, and how much a candidate is expected to add to it.

Every quantity here is to be minimised and positive: the error (100.5 minus the accuracy in percent), milliseconds,
counts. ``worst`` is the corner up to which volume counts.
"""

__all__ = ["Beliefs", "expected_gain", "hypervolume", "log_room", "nondominated"]

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_STD = 1e-9


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Log-normal quantities of ``M`` candidates.

    Attributes:
        mean, std: Of the logarithms, shape ``(M, Q)``; a quantity known exactly has deviation 0.
    """

    mean: Floats
    std: Floats

    def at(self, rows: Ints) -> "Beliefs":
        return Beliefs(self.mean[rows], self.std[rows])


def nondominated(points: Floats) -> Ints:
    """Rows of which no other is at least as small everywhere and smaller somewhere; the first of equal ones.

    Args:
        points: Shape ``(N, Q)``.
    """
    kept: list[int] = []
    for row in np.lexsort(points.T[::-1]):
        if not any((points[other] <= points[row]).all() for other in kept):
            kept.append(int(row))
    return np.array(sorted(kept), dtype=np.int64)


def hypervolume(points: Floats, worst: Floats) -> float:
    """Volume between the points and the corner ``worst``, in the product of the quantities' units.

    Args:
        points: Shape ``(N, Q)``.
        worst: Shape ``(Q,)``.
    """
    inside = points[(points < worst).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if points.shape[1] == 1:
        return float(worst[0] - inside.min())
    levels = np.append(np.unique(inside[:, -1]), worst[-1])
    return float(
        sum(
            (above - level) * hypervolume(inside[inside[:, -1] <= level, :-1], worst[:-1])
            for level, above in pairwise(levels)
        )
    )


def expected_gain(beliefs: Beliefs, front: Floats, worst: Floats) -> Floats:
    """By how much each candidate is expected to enlarge the volume, in the product of the quantities' units.

    Exact for independent log-normal quantities. Along the last one the space is cut into slabs at the front's
    values; in each the gain is the expected length times the gain in the other quantities.

    Args:
        front: Shape ``(N, Q)``; dominated points do no harm, but cost time.
        worst: Shape ``(Q,)``.

    Returns:
        Shape ``(M,)``.

    Source: the slabs are those of Yang et al., "Multi-Objective Bayesian Global Optimization using expected
    hypervolume improvement gradient", Swarm and Evolutionary Computation 44 (2019); the log-normal is ours.
    """
    return np.maximum(_gain(_Shortfalls(beliefs), front, worst), 0.0)


class _Shortfalls:
    """``E[max(limit - X, 0)]`` of every candidate, each computed once: slabs ask for the same limits many times."""

    def __init__(self, beliefs: Beliefs) -> None:
        self._beliefs = beliefs
        self._known: dict[tuple[int, float], Floats] = {}

    def __call__(self, quantity: int, limit: float) -> Floats:
        known = self._known.get((quantity, limit))
        if known is None:
            known = _shortfall(self._beliefs, quantity, limit)
            self._known[quantity, limit] = known
        return known


def _gain(shortfalls: _Shortfalls, front: Floats, worst: Floats) -> Floats:
    """Of the first ``len(worst)`` quantities."""
    front = front[(front < worst).all(axis=1)]
    last = len(worst) - 1
    if last == 0:
        return shortfalls(0, float(min(front.min(initial=np.inf), worst[0])))
    levels = np.append(np.unique(front[:, last]), worst[last])
    inner = _gain(shortfalls, front[:0, :last], worst[:last])
    total, below = np.zeros(len(inner)), np.zeros(len(inner))
    for level in levels:
        upto = shortfalls(last, float(level))
        total += (upto - below) * inner
        below = upto
        if level < worst[last]:
            inside = front[front[:, last] <= level, :last]
            inner = _gain(shortfalls, inside[nondominated(inside)], worst[:last])
    return total


def log_room(beliefs: Beliefs, front: Floats, worst: Floats) -> Floats:
    """How far the candidates' better ends (mean less one deviation) lie beyond the front, as a logarithm of a factor.

    Cheap, and enough to sort out the hopeless: the smallest factor by which a candidate has to get worse everywhere
    before a point of the front, or the corner, is as good.

    Returns:
        Shape ``(M,)``; negative for those that cannot be expected to add anything.
    """
    ends = (beliefs.mean - beliefs.std).T.copy()  # one quantity after another: reducing short rows is slow
    room: Floats = (np.log(worst)[:, None] - ends).min(axis=0)
    for point in np.log(front):
        np.minimum(room, (point[:, None] - ends).max(axis=0), out=room)
    return room


def _shortfall(beliefs: Beliefs, quantity: int, limit: float) -> Floats:
    """``E[max(limit - X, 0)]`` of a log-normal ``X``, shape ``(M,)``."""
    mean, std = beliefs.mean[:, quantity], np.maximum(beliefs.std[:, quantity], _LEAST_STD)
    scaled = (np.log(limit) - mean) / std
    expected: Floats = limit * ndtr(scaled) - np.exp(mean + np.square(std) / 2.0) * ndtr(scaled - std)
    return expected
