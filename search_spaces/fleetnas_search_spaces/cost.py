"""Exact counts of a graph: multiply-accumulates, parameters, bytes moved."""

__all__ = ["BlockCost", "block_costs", "macs", "params", "weight_count"]

from dataclasses import dataclass

from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Operator, OperatorKind

_BYTES_PER_FLOAT = 4


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What one block costs at batch 1.

    Attributes:
        macs: All multiply-accumulates, the depthwise ones included.
        depthwise_macs: Those of depthwise convolutions.
        params: Trainable numbers: weights, biases, two a channel for a batch normalisation.
        bytes_moved: fp32 bytes of every node's inputs, outputs and weights (batch normalisation folded
            into a bias): memory traffic if nothing stayed in a cache.
    """

    macs: int
    depthwise_macs: int
    params: int
    bytes_moved: int


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one image. Convolution and linear count; bias, normalisation, additions do not.

    This is the convention of NAS-Bench-Macro's ``flops`` column and of the Light-NAS figures.
    """
    return sum(_macs(node.operator) for node in graph.nodes)


def params(graph: Graph) -> int:
    """Trainable numbers: weights, biases, scale and shift of each batch normalisation."""
    return sum(_params(node.operator) for node in graph.nodes)


def block_costs(graph: Graph) -> tuple[BlockCost, ...]:
    """The costs of ``graph.blocks``, in their order."""
    sums = [[0, 0, 0, 0] for _ in graph.blocks]
    for node in graph.nodes:
        operator, block = node.operator, sums[node.block]
        node_macs = _macs(operator)
        block[0] += node_macs
        if operator.kind is OperatorKind.CONV and 1 < operator.groups == operator.in_channels:
            block[1] += node_macs
        block[2] += _params(operator)
        block[3] += _bytes_moved(operator)
    return tuple(BlockCost(*block) for block in sums)


def weight_count(operator: Operator) -> int:
    """Numbers in an operator's kernel; 0 for one that has none."""
    if operator.kind is OperatorKind.CONV:
        return operator.out_channels * (operator.in_channels // operator.groups) * operator.kernel_px**2
    if operator.kind is OperatorKind.LINEAR:
        return operator.out_channels * operator.in_channels
    return 0


def _macs(operator: Operator) -> int:
    count = weight_count(operator)
    return count * operator.out_px**2 if count else 0


def _params(operator: Operator) -> int:
    per_channel = 2 * operator.batch_norm + operator.bias
    return weight_count(operator) + per_channel * operator.out_channels


def _bytes_moved(operator: Operator) -> int:
    read = operator.in_channels * operator.in_px**2
    if operator.kind is OperatorKind.ADD:
        read *= 2
    elif operator.kind is OperatorKind.MULTIPLY:
        read += operator.in_channels
    written = operator.out_channels * operator.out_px**2
    shift = operator.out_channels if operator.batch_norm or operator.bias else 0
    return _BYTES_PER_FLOAT * (read + written + weight_count(operator) + shift)
