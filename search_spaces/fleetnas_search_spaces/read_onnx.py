"""ONNX -> operators: what a network of any origin runs, as far as we have words for it."""

__all__ = ["OnnxOperator", "OnnxSummary", "read_onnx"]

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, helper

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.onnx_inputs import check_inputs, close_batches
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

_ACTIVATIONS = {
    "Relu": Activation.RELU,
    "Clip": Activation.RELU6,
    "Sigmoid": Activation.SIGMOID,
    "HardSigmoid": Activation.HARD_SIGMOID,
    "HardSwish": Activation.HARD_SWISH,
}
_FREE = frozenset({"Constant", "Flatten", "Reshape", "Identity", "Dropout", "Squeeze", "Unsqueeze", "Shape"})
"""They move no data at inference, or are folded before it."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OnnxOperator:
    """One operator that takes time.

    Attributes:
        operator: What it is; for a kind without a word of ours a stand-in that moves as many bytes.
        known_kind: Whether we have a word for it.
    """

    name: str
    op_type: str
    operator: Operator
    known_kind: bool


@dataclass(frozen=True, slots=True)
class OnnxSummary:
    """A network as its operators, activations taken into the convolution before them.

    Attributes:
        architecture_key: Of a network that FleetNAS wrote; empty for others.
        one_image: Inputs whose open first size was taken as 1.
    """

    operators: tuple[OnnxOperator, ...]
    architecture_key: str
    one_image: tuple[str, ...] = ()


def read_onnx(path: Path) -> OnnxSummary:
    """Reads a network for one image, weights beside it not needed.

    Raises:
        InvalidArgumentError: It is no ONNX file, has no operators, or shapes cannot be told.
    """
    try:
        model = onnx.load(path, load_external_data=False)
        one_image = close_batches(model.graph)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        raise InvalidArgumentError(f"'{path}' cannot be read as ONNX ({error}): export it again.") from error
    check_inputs(path, inferred.graph)
    shapes = _shapes(inferred.graph)
    readers = Counter(name for node in inferred.graph.node for name in node.input)
    operators: list[OnnxOperator] = []
    made_by: dict[str, int] = {}
    for node in inferred.graph.node:
        if node.op_type in _FREE or not node.output:
            continue
        fused = made_by.get(node.input[0]) if node.input else None
        activation = _ACTIVATIONS.get(node.op_type)
        if (
            activation
            and fused is not None
            and _takes_activation(operators[fused])
            and readers[node.input[0]] == 1
        ):
            one = operators[fused]
            operators[fused] = replace(one, operator=replace(one.operator, activation=activation))
            made_by[node.output[0]] = fused
            continue
        made_by[node.output[0]] = len(operators)
        operators.append(_operator(node, shapes, path))
    if not operators:
        raise InvalidArgumentError(f"'{path}' has no operators that take time: export the whole network.")
    keys = {one.key: one.value for one in model.metadata_props}
    architecture_key = keys.get("architecture", "") if model.producer_name == "fleetnas" else ""
    return OnnxSummary(tuple(operators), architecture_key, one_image)


def _takes_activation(one: OnnxOperator) -> bool:
    kinds = (OperatorKind.CONV, OperatorKind.ADD)
    return one.operator.kind in kinds and one.operator.activation is Activation.NONE


def _shapes(graph: Any) -> dict[str, Shape]:
    """Of the tensors whose sizes are all told."""
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    for one in (*graph.input, *graph.output, *graph.value_info):
        sizes = tuple(size.dim_value for size in one.type.tensor_type.shape.dim)
        if one.type.tensor_type.HasField("shape") and min(sizes, default=1) > 0:
            shapes.setdefault(one.name, sizes)
    return shapes


def _operator(node: NodeProto, shapes: Mapping[str, Shape], path: Path) -> OnnxOperator:
    source, output = shapes.get(node.input[0]) if node.input else None, shapes.get(node.output[0])
    if source is None or output is None:
        raise InvalidArgumentError(
            f"the shapes of node '{node.name or node.op_type}' in '{path}' cannot be told: export with fixed shapes."
        )
    try:
        found = _known(node, source, output, shapes)
    except (TypeError, ValueError, IndexError) as error:  # attributes of the wrong type, or too few inputs
        raise InvalidArgumentError(
            f"node '{node.name or node.op_type}' in '{path}' is damaged ({error}): export it again."
        ) from error
    if found is not None:
        return OnnxOperator(node.name, node.op_type, found, True)
    channels, size_px = _map_of(source)
    stand_in = Operator(OperatorKind.ACTIVATION, channels, channels, size_px)
    return OnnxOperator(node.name, node.op_type, stand_in, False)


def _known(node: NodeProto, source: Shape, output: Shape, shapes: Mapping[str, Shape]) -> Operator | None:
    values = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    channels, size_px = _map_of(source)
    out_channels = output[1] if len(output) > 1 else 1
    square = len(source) < 4 or source[2] == source[3]
    kind = node.op_type
    if kind in ("Gemm", "MatMul") and source and output:
        return Operator(OperatorKind.LINEAR, source[-1], output[-1], 1, bias=len(node.input) > 2)
    if not square:
        return None
    if kind == "Conv":
        return _conv(values, channels, out_channels, size_px, bias=len(node.input) > 2)
    if kind in _ACTIVATIONS:
        return Operator(OperatorKind.ACTIVATION, channels, channels, size_px, activation=_ACTIVATIONS[kind])
    if kind == "BatchNormalization":
        return Operator(OperatorKind.BATCH_NORM, channels, channels, size_px, batch_norm=True)
    if kind == "GlobalAveragePool":
        return Operator(OperatorKind.GLOBAL_AVERAGE_POOL, channels, channels, size_px, kernel_px=size_px)
    if kind in ("AveragePool", "MaxPool"):
        pool = OperatorKind.MAX_POOL if kind == "MaxPool" else OperatorKind.AVERAGE_POOL
        geometry = _geometry(values)
        return None if geometry is None else Operator(pool, channels, channels, size_px, *geometry)
    if kind == "Add" and shapes.get(node.input[1]) == source:
        return Operator(OperatorKind.ADD, channels, channels, size_px)
    if kind == "Mul" and len(source) == 4 and shapes.get(node.input[1], ())[2:] == (1, 1):
        return Operator(OperatorKind.MULTIPLY, channels, channels, size_px)
    return None


def _conv(values: Mapping[str, Any], channels: int, out: int, size_px: int, *, bias: bool) -> Operator | None:
    geometry = _geometry(values)
    if geometry is None or set(values.get("dilations", (1,))) != {1}:
        return None
    groups = int(values.get("group", 1))
    return Operator(OperatorKind.CONV, channels, out, size_px, *geometry, groups=groups, bias=bias)


def _geometry(values: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Kernel, stride and padding in pixels; None where they are not the same on all sides."""
    sides = [
        set(values.get(name, default))
        for name, default in (("kernel_shape", (1,)), ("strides", (1,)), ("pads", (0,)))
    ]
    if any(len(one) != 1 for one in sides) or values.get("auto_pad", b"NOTSET") != b"NOTSET":
        return None
    kernel, stride, padding = (int(next(iter(one))) for one in sides)
    return kernel, stride, padding


def _map_of(shape: Sequence[int]) -> tuple[int, int]:
    """Channels and side in pixels; a map that is not square counts as the square of its area."""
    channels = shape[1] if len(shape) > 1 else 1
    if len(shape) < 4:
        return max(channels, 1), 1
    return channels, max(1, round((shape[2] * shape[3]) ** 0.5))
