"""Bytes that a graph needs on a device: its weights, and its feature maps while it runs."""

__all__ = ["model_bytes", "peak_memory_bytes"]

from collections import Counter

from fleetnas_search_spaces.cost import weight_count
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Operator, OperatorKind, Precision

_BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.INT8: 1}
_INT8_BIAS_BYTES = 4
"""A bias is added to the 32-bit sum, whatever the weights are."""


def model_bytes(graph: Graph) -> int:
    """Bytes of the weights as they are deployed, each operator's at its own precision.

    A batch normalisation behind a convolution is folded into its weights and a bias; one of its own keeps a scale and
    a shift for each channel. Names, graph and alignment of a file format come on top: a few kB.
    """
    return sum(_weight_bytes(node.operator) for node in graph.nodes)


def peak_memory_bytes(graph: Graph) -> int:
    """The most bytes that feature maps take up at one time, for one image, at each operator's own precision.

    Operators run one after the other in the graph's order, which is that of the exported file. A feature map lives
    from the operator that writes it to the last one that reads it; while an operator runs its inputs and its output
    are all there, the network's input among them. Nothing is done in place and an activation is part of its operator,
    so this is what a runtime needs that never recomputes; workspaces (im2col, Winograd) and weights are not counted.
    """
    readers = Counter(name for node in graph.nodes for name in set(node.inputs))
    channels, height_px, width_px = graph.input_shape
    # The image comes in the type that the first operators read.
    alive = {INPUT: channels * height_px * width_px * _BYTES[graph.nodes[0].operator.precision]}
    peak = 0
    for node in graph.nodes:
        alive[node.name] = _output_bytes(node.operator)
        peak = max(peak, sum(alive.values()))
        _drop_read(node, readers, alive)
    return peak


def _drop_read(node: Node, readers: Counter[str], alive: dict[str, int]) -> None:
    for name in set(node.inputs):
        readers[name] -= 1
        if readers[name] == 0:
            del alive[name]


def _output_bytes(operator: Operator) -> int:
    return operator.out_channels * operator.out_px**2 * _BYTES[operator.precision]


def _weight_bytes(operator: Operator) -> int:
    size = _BYTES[operator.precision]
    if operator.kind is OperatorKind.BATCH_NORM:
        return 2 * operator.out_channels * size
    weights = weight_count(operator)
    biases = operator.out_channels if weights and (operator.batch_norm or operator.bias) else 0
    bias_size = _INT8_BIAS_BYTES if operator.precision is Precision.INT8 else size
    return weights * size + biases * bias_size
