"""A few networks that show what a front has to offer: its knee, and medoids of its kinds."""

__all__ = ["Pick", "choose_picks", "knee"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pick:
    """A picked member of a front.

    Attributes:
        row: Its place in the front.
        is_knee: Whether it was picked as the knee; the others are medoids.
        stands_for: How many members are most like this one of all picks, itself included.
    """

    row: int
    is_knee: bool
    stands_for: int


def choose_picks(points: Floats, architectures: Sequence[Architecture], count: int) -> tuple[Pick, ...]:
    """The knee of a front and ``count - 1`` medoids, in the front's order; all of a front that has no more.

    Two architectures are as far apart as the number of decisions in which they differ. The medoids make the sum of
    all members' distances to their nearest pick small, the knee being one: the best at each step, then exchanges
    as long as one helps.

    Args:
        points: Error and cost of each member, both the smaller the better; shape ``(N, 2)``, at least one row.

    Raises:
        InvalidArgumentError: ``count`` is under 1.

    Source: Kaufman and Rousseeuw, "Finding Groups in Data", 1990 (PAM).
    """
    if count < 1:
        raise InvalidArgumentError(f"the number of picks is {count}; give 1 or more")
    choices = np.array([one.choices for one in architectures])
    distance = (choices[:, None, :] != choices[None, :, :]).sum(axis=2).astype(np.float64)
    first = knee(points)
    rows = [first]
    while len(rows) < min(count, len(points)):
        rows.append(_best_addition(distance, rows))
    rows = _exchanged(distance, rows)
    nearest = np.array(rows)[np.argmin(distance[:, rows], axis=1)]
    nearest[rows] = rows  # its own, where another pick is as near
    return tuple(Pick(row, row == first, int((nearest == row).sum())) for row in sorted(rows))


def knee(points: Floats) -> int:
    """The row farthest below the line between the ends, both axes scaled to the front's own extent.

    The first of the lowest error where there are no three points; arguments as ``choose_picks``.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    below = 1.0 - scaled.sum(axis=1)
    order = np.lexsort((points[:, 0], -np.round(below, 12)))
    return int(order[0])


def _best_addition(distance: Floats, rows: Sequence[int]) -> int:
    left = distance[:, rows].min(axis=1)
    costs = np.minimum(left[:, None], distance).sum(axis=0)
    costs[list(rows)] = np.inf
    return int(np.argmin(costs))


def _exchanged(distance: Floats, rows: list[int]) -> list[int]:
    """Exchanges picks other than the first, which stays, until none helps."""
    rows, cost = list(rows), float(distance[:, rows].min(axis=1).sum())
    improved = True
    while improved:
        improved = False
        for place in range(1, len(rows)):
            others = [*rows[:place], *rows[place + 1 :]]
            candidate = _best_addition(distance, others)
            lower = float(distance[:, [*others, candidate]].min(axis=1).sum())
            if lower < cost:
                rows[place], cost, improved = candidate, lower, True
    return rows
