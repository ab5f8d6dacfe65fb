"""A space's latency as a plain array, decisions times options: the latency term of one-shot and DARTS training."""

__all__ = ["ChoiceTable", "choice_table"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace

_NETWORKS_PER_OPTION = 4
_FEWEST_NETWORKS = 60
_HELD_OUT = 0.25


@dataclass(frozen=True, slots=True)
class ChoiceTable:
    """With probabilities ``p`` of the shape of ``costs_ms``, ``constant_ms + (p * costs_ms).sum()`` is the expected
    latency; it is linear in ``p``, so its gradient is the table.

    Attributes:
        costs_ms: Shape ``(decisions, most options)``; 0 for option 0 of each decision and where there is no option.
        error: Median relative difference from what the table was made of, on networks it was not made from: 0
            where each decision adds its own part, more where decisions depend on each other.
    """

    constant_ms: float
    costs_ms: NDArray[np.float64]
    error: float


def choice_table(
    space: SearchSpace, latencies_ms: Callable[[Sequence[Architecture]], NDArray[np.float64]], seed: int = 0
) -> ChoiceTable:
    """The sum over decisions that is nearest to given latencies.

    Args:
        latencies_ms: E.g. a model's mean prediction.
    """
    counts = space.option_counts
    drawn_count = max(_FEWEST_NETWORKS, _NETWORKS_PER_OPTION * sum(counts))
    rng = Random(seed)
    networks = [space.sample(rng) for _ in range(drawn_count)]
    values = latencies_ms(networks)
    rows = np.array([_row(one.choices, counts) for one in networks])
    kept = round(drawn_count * (1.0 - _HELD_OUT))
    solved = np.linalg.lstsq(rows[:kept], values[:kept], rcond=None)[0]
    error = float(np.median(np.abs(rows[kept:] @ solved / values[kept:] - 1.0)))
    costs = np.zeros((len(counts), max(counts)))
    start = 1
    for decision, count in enumerate(counts):
        costs[decision, 1:count] = solved[start : start + count - 1]
        start += count - 1
    return ChoiceTable(float(solved[0]), costs, error)


def _row(choices: Sequence[int], counts: Sequence[int]) -> list[float]:
    """A one, then for each decision a flag for each option but the first."""
    flags = [
        float(choice == option)
        for choice, count in zip(choices, counts, strict=True)
        for option in range(1, count)
    ]
    return [1.0, *flags]
