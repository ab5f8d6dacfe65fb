"""The latency of a network that is in no space: the sum of what its operators are known or guessed to cost."""

__all__ = ["ForeignPrediction", "Knowledge", "OperatorShare", "predict_operators"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.repository import LatencyRepository, ObservationKind
from fleetnas_latency.target import Target
from fleetnas_search_spaces.cost import block_costs
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Operator
from fleetnas_search_spaces.read_onnx import OnnxOperator

_FEWEST_KNOWN = 5
_RIDGE = 1e-3
_LEAST_SPREAD = 0.3
_UNKNOWN_SPREAD = 1.0


class Knowledge(StrEnum):
    """How an operator's cost is known."""

    KNOWN = "known"
    GUESSED = "guessed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """One operator's part of the latency."""

    name: str
    knowledge: Knowledge
    mean_ms: float
    std_ms: float


@dataclass(frozen=True, slots=True)
class ForeignPrediction:
    """The sum. What a runtime fuses or overlaps is not in it, nor the overhead of a call.

    Attributes:
        shares: In the network's order.
    """

    mean_ms: float
    std_ms: float
    shares: tuple[OperatorShare, ...]

    def share_of(self, knowledge: Knowledge) -> float:
        """Of the mean, between 0 and 1."""
        return sum(one.mean_ms for one in self.shares if one.knowledge is knowledge) / self.mean_ms


def predict_operators(
    table: LatencyRepository, target: Target, operators: Sequence[OnnxOperator]
) -> ForeignPrediction:
    """Looks each operator up; guesses the others from their size, after those the table knows; never counts one as 0.

    Raises:
        FailedPreconditionError: The table knows too few operators of the target to guess from.
    """
    guess = _Guess(table, target)
    shares = tuple(_share(table, target, guess, one) for one in operators)
    # Guesses come from one regression, so they err together: their deviations add up.
    guessed = sum(one.std_ms for one in shares if one.knowledge is not Knowledge.KNOWN)
    known = math.sqrt(sum(one.std_ms**2 for one in shares if one.knowledge is Knowledge.KNOWN))
    return ForeignPrediction(sum(one.mean_ms for one in shares), math.hypot(known, guessed), shares)


def _share(table: LatencyRepository, target: Target, guess: "_Guess", one: OnnxOperator) -> OperatorShare:
    name = f"{one.name or one.op_type} ({operator_key(one.operator) if one.known_kind else one.op_type})"
    for alike in _alike(one.operator) if one.known_kind else ():
        try:
            entry = table.query(target, operator_key(alike))
        except NotFoundError:
            continue
        return OperatorShare(name, Knowledge.KNOWN, entry.mean_ms, entry.std_ms)
    mean_ms = guess.mean_ms(one.operator)
    if one.known_kind:
        return OperatorShare(name, Knowledge.GUESSED, mean_ms, guess.spread * mean_ms)
    return OperatorShare(name, Knowledge.UNKNOWN, mean_ms, _UNKNOWN_SPREAD * mean_ms)


def _alike(operator: Operator) -> tuple[Operator, ...]:
    """Operators that a runtime runs alike: a bias is a folded normalisation or nothing, and costs nothing."""
    plain = replace(operator, bias=False, batch_norm=False)
    return tuple(dict.fromkeys((operator, replace(plain, bias=True), replace(plain, batch_norm=True), plain)))


class _Guess:
    """Latency from size: a regression over the target's known operators, relative errors counted."""

    def __init__(self, table: LatencyRepository, target: Target) -> None:
        known = {
            one.operator: one.latency.value
            for one in table.observations(target)
            if one.kind is ObservationKind.OPERATOR and one.operator is not None
        }
        if len(known) < _FEWEST_KNOWN:
            raise FailedPreconditionError(
                f"the table knows {len(known)} operators on '{target.key}', {_FEWEST_KNOWN} are needed to guess "
                "others: import some with 'fleetnas latency import', or give a device whose operators are published "
                "('fleetnas latency packs')."
            )
        sizes, values = np.array([_sizes(one) for one in known]), np.array(list(known.values()))
        self._weights = _nonnegative(sizes / values[:, None])
        errors = np.log(np.maximum(sizes @ self._weights, 1e-9) / values)
        self.spread = max(float(np.sqrt((errors**2).mean())), _LEAST_SPREAD)

    def mean_ms(self, operator: Operator) -> float:
        return max(float(_sizes(operator) @ self._weights), 1e-6)


def _sizes(operator: Operator) -> NDArray[np.float64]:
    """Convolution MACs, depthwise MACs and bytes moved, in millions, and a call."""
    side = operator.in_px
    graph = Graph((operator.in_channels, side, side), (Node("one", operator, (INPUT,), 0),), (operator,))
    (cost,) = block_costs(graph)
    plain = cost.macs - cost.depthwise_macs
    return np.array([plain / 1e6, cost.depthwise_macs / 1e6, cost.bytes_moved / 1e6, 1.0])


def _nonnegative(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that bring every row to about 1, none below zero."""
    from scipy.optimize import nnls

    scale = rows.mean(axis=0) + 1e-12
    width = rows.shape[1]
    stacked = np.vstack([rows / scale, math.sqrt(_RIDGE * len(rows)) * np.eye(width)])
    solved, _ = nnls(stacked, np.concatenate([np.ones(len(rows)), np.zeros(width)]))
    weights: NDArray[np.float64] = solved / scale
    return weights
