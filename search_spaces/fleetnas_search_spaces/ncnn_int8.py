"""How ncnn scales integers: symmetric, weights by output channel, activations by tensor."""

__all__ = ["Int8Scales", "int8_weights", "is_vector_conv"]

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import Graph, Node
from fleetnas_search_spaces.operators import Operator, OperatorKind

_LARGEST = 127.0
_INT8_TAG = (0x000D4B38).to_bytes(4, "little")
_ALIGNMENT = 4


def is_vector_conv(operator: Operator) -> bool:
    """Whether a convolution sees one pixel, as in squeeze and excite: pooling gives ncnn a vector, no image."""
    one = operator
    return one.kind is OperatorKind.CONV and one.in_px == one.kernel_px == one.groups == 1


class Int8Scales:
    """Scales of a network's layers: a value times its scale, rounded, is its integer.

    Convolutions with groups that are not depthwise stay in floats: what ncnn 20261020 computes for them on x86 in
    integers is garbage.

    Args:
        input_ranges: By the name of each convolution and linear layer the largest magnitude of its input.
    """

    def __init__(self, graph: Graph, input_ranges: Mapping[str, float]) -> None:
        self._ranges = input_ranges
        self._readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def covers(self, node: Node) -> bool:
        """Whether the layer computes with integers."""
        one = node.operator
        dense_or_depthwise = one.groups == 1 or one.groups == one.in_channels == one.out_channels
        return one.kind is OperatorKind.LINEAR or (one.kind is OperatorKind.CONV and dense_or_depthwise)

    def weight_scales(self, weights: NDArray[np.float32]) -> tuple[float, ...]:
        """One for each output channel."""
        rows = weights.reshape(len(weights), -1)
        return tuple(_scale(float(one)) for one in np.abs(rows).max(axis=1))

    def input_scale(self, node: Node) -> float:
        """Raises InvalidArgumentError when the layer has no range, or none that is a number."""
        largest = self._ranges.get(node.name)
        if largest is None or not np.isfinite(largest) or largest < 0.0:
            raise InvalidArgumentError(
                f"the input of '{node.name}' has the range {largest}: calibrate the whole network for int8."
            )
        return _scale(largest)

    def output_scale(self, node: Node) -> tuple[float, ...]:
        """Where nobody but convolutions read the output, the scale of their input; else none, it stays floats."""
        readers = self._readers.get(node.name, [])
        if not readers or not all(
            self.covers(one) and _is_image_conv(one.operator) for one in (node, *readers)
        ):
            return ()
        return (self.input_scale(readers[0]),)


def _is_image_conv(operator: Operator) -> bool:
    return operator.kind is OperatorKind.CONV and not is_vector_conv(operator)


def int8_weights(weights: NDArray[np.float32], scales: Sequence[float]) -> bytes:
    """An array of a ``.bin`` file: tag, integers, and zeros up to a multiple of four bytes."""
    rows = weights.reshape(len(scales), -1) * np.asarray(scales, np.float32)[:, np.newaxis]
    # As ncnn rounds: half away from zero.
    whole = np.sign(rows) * np.floor(np.abs(rows) + np.float32(0.5))
    content = np.clip(whole, -_LARGEST, _LARGEST).astype(np.int8).tobytes()
    padding = bytes(-len(content) % _ALIGNMENT)
    return b"".join((_INT8_TAG, content, padding))


def _scale(largest: float) -> float:
    """1 for what is zero everywhere: any scale is right then."""
    return _LARGEST / largest if largest > 0.0 else 1.0
