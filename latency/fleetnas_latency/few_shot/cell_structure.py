"""NASBench201's cells as counts of operations, under six ideas of what a runtime executes."""

__all__ = ["CellStructure"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.few_shot.structure import Hypothesis
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cell_201 import EDGES, OPERATION_NAMES, PATHS, zero_folded
from fleetnas_search_spaces.cost import block_costs
from fleetnas_search_spaces.operators import Operator

_BASE = len(OPERATION_NAMES)  # the overhead and the four operations
_HYPOTHESES = (
    Hypothesis("raw", 0.35, _BASE, _BASE),
    Hypothesis("backward-alive", 0.20, _BASE, _BASE),
    Hypothesis("forward-alive", 0.10, _BASE, _BASE),
    Hypothesis("canonical", 0.20, _BASE, _BASE),
    Hypothesis("zero-folded", 0.05, _BASE, _BASE),
    Hypothesis("parallel", 0.10, _BASE + 2, _BASE),
)
_CONV_3 = OPERATION_NAMES.index("nor_conv_3x3")
_PATH_WEIGHTS = ((0.0, 0.0, 1.0 / 9.0, 1.0, 0.0), (0.0, 0.0, 1.0, 1.0, 0.0))
"""Of an operation on a path: its multiply-accumulates in units of a 3 x 3 convolution; one for a convolution."""
_HIDDEN_SHARE, _HIDDEN_SPREAD = 0.25, 0.5


@dataclass(frozen=True, slots=True)
class _Alive:
    """Which edges run, shape ``(N, edges)`` each."""

    raw: NDArray[np.bool_]
    forward: NDArray[np.bool_]
    backward: NDArray[np.bool_]


class CellStructure:
    """Latency is an overhead plus a cost for each executed operation, whatever its position.

    "Executed" is an edge that carries an operation (raw), from which the output can be reached (backward-alive),
    to which a way leads from the input (forward-alive), or both (canonical). "Zero-folded" is backward-alive and lone
    operations whose result is multiplied by zero (``cell_201.zero_folded``). "Parallel" is canonical less a share
    of the convolution work that is not on the longest path, measured twice: in work and in number, because a
    1 x 1 convolution costs between a ninth and the whole of a 3 x 3 one.

    18 of the 19 public device columns of this benchmark ran dead edges, pixel3 folded zeros; an inference runtime
    that is given an exported graph does neither. The wrong count costs more than every other choice together.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    @property
    def space(self) -> SearchSpace:
        return self._space

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        return _HYPOTHESES

    @property
    def entry_names(self) -> tuple[str, ...]:
        return ("overhead", *OPERATION_NAMES[1:])

    @property
    def operators(self) -> tuple[Operator | None, ...]:
        return (None,) * _BASE  # an entry is one operation in all fifteen cells

    def rows(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        codes = np.array([one.choices for one in architectures], dtype=np.int64).reshape(-1, len(EDGES))
        alive = _alive(codes)
        canonical = alive.forward & alive.backward
        folded = np.array([zero_folded(one) for one in codes.tolist()], dtype=bool).reshape(codes.shape)
        rows = np.zeros((len(_HYPOTHESES), len(codes), _BASE + len(_PATH_WEIGHTS)))
        masks = (alive.raw, alive.backward, alive.forward, canonical, folded, canonical)
        for index, mask in enumerate(masks):
            rows[index, :, 0] = 1.0
            for operation in range(1, _BASE):
                rows[index, :, operation] = ((codes == operation) & mask).sum(axis=1)
        for index, weights in enumerate(_PATH_WEIGHTS):
            work = rows[-1, :, 1:_BASE] @ np.array(weights[1:])
            rows[-1, :, _BASE + index] = _longest_path(codes, np.array(weights)) - work
        return rows

    def features(self) -> NDArray[np.float64]:
        """Convolution MACs, bytes moved and a call of each operation in all the cells."""
        overhead = (0.0,) * 3
        return np.array([overhead, *(self._operation_features(one) for one in range(1, _BASE))])

    def extra_prior(self, base_mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        unit = float(base_mean[_CONV_3])
        count = len(_PATH_WEIGHTS)
        return np.full(count, _HIDDEN_SHARE * unit), np.full(count, _HIDDEN_SPREAD * unit)

    def _operation_features(self, operation: int) -> tuple[float, ...]:
        """What an edge with ``operation`` adds to a cell whose last edge is a skip."""
        empty, full = (self._cost((0, 0, 0, one, 0, 0)) for one in (1, operation))
        macs, moved, nodes = (b - a for a, b in zip(empty, full, strict=True))
        return (macs, moved, nodes)

    def _cost(self, choices: tuple[int, ...]) -> tuple[float, ...]:
        graph = self._space.graph(
            Architecture(self._space.name, choices, self._space.reference.resolution_px)
        )
        costs = block_costs(graph)
        macs = float(sum(one.macs for one in costs))
        return macs, float(sum(one.bytes_moved for one in costs)), float(len(graph.blocks))


def _alive(codes: NDArray[np.int64]) -> _Alive:
    used = codes > 0
    forward, backward = np.zeros_like(used), np.zeros_like(used)
    reached = [np.ones(len(codes), bool), *(np.zeros(len(codes), bool) for _ in range(3))]
    for index, (start, end) in enumerate(EDGES):  # they are ordered by their end
        forward[:, index] = used[:, index] & reached[start]
        reached[end] |= forward[:, index]
    reaching = [*(np.zeros(len(codes), bool) for _ in range(3)), np.ones(len(codes), bool)]
    for index, (start, end) in reversed(list(enumerate(EDGES))):
        backward[:, index] = used[:, index] & reaching[end]
        reaching[start] |= backward[:, index]
    return _Alive(used, forward, backward)


def _longest_path(codes: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    best = np.zeros(len(codes))
    for path in PATHS:
        on_path = codes[:, list(path)]
        open_way = (on_path > 0).all(axis=1)
        best = np.maximum(best, weights[on_path].sum(axis=1) * open_way)
    return best
