"""Graph -> ONNX, written directly: exporting through torch costs seconds a network."""

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "OnnxModel", "emit_onnx"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Activation, OperatorKind
from fleetnas_search_spaces.weights import WeightFile, Weights

INPUT_NAME = "input"
OUTPUT_NAME = "logits"

_OPSET = 17
_IR_VERSION = 8  # what onnxruntime 1.18, the last that runs on iOS 15, can read


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model file and the weight files it refers to, which must lie beside it under their names."""

    model_bytes: bytes
    weight_files: tuple[WeightFile, ...] = ()


def emit_onnx(
    graph: Graph, weights: Weights, *, key: str, external: bool = False, trained: bool = False
) -> OnnxModel:
    """Writes a network for inference at batch 1, every batch normalisation folded into its convolution.

    The bytes depend on the arguments alone.

    Args:
        key: The architecture's key, kept in the metadata.
        external: Refer to the weights' files (if they are in files) instead of holding the values.
        trained: What the metadata says of the weights.
    """
    writer = _Writer(weights, external)
    for node in graph.nodes:
        writer.write(node)
    model = ModelProto(ir_version=_IR_VERSION, producer_name="fleetnas")
    model.opset_import.append(helper.make_opsetid("", _OPSET))
    model.graph.CopyFrom(writer.graph(graph))
    for name, value in (
        ("architecture", key),
        ("weights", "trained" if trained else "untrained, seeded noise"),
    ):
        model.metadata_props.add(key=name, value=value)
    files = tuple(writer.files[name] for name in sorted(writer.files))
    return OnnxModel(model.SerializeToString(deterministic=True), files)


class _Writer:
    """Collects nodes and initializers. A convolution's activation is a node of its own, which runtimes fuse."""

    def __init__(self, weights: Weights, external: bool) -> None:
        self._weights = weights
        self._external = external
        self._nodes: list[NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._names = {INPUT: INPUT_NAME}
        self.files: dict[str, WeightFile] = {}

    def write(self, node: Node) -> None:
        sources = [self._names[name] for name in node.inputs]
        kind = node.operator.kind
        if kind is not OperatorKind.ACTIVATION and kind not in _EMITTERS:
            raise InvalidArgumentError(
                f"node '{node.name}' is a {kind}, which is no primitive: a graph is made of {sorted(_EMITTERS)}."
            )
        output = sources[0] if kind is OperatorKind.ACTIVATION else _EMITTERS[kind](self, node, sources)
        self._names[node.name] = self._activated(node, output)

    def graph(self, graph: Graph) -> GraphProto:
        last = graph.nodes[-1]
        output = self._nodes[-1]
        shape: list[int] = [1, last.operator.out_channels]
        if last.operator.kind is not OperatorKind.LINEAR:
            shape += [last.operator.out_px, last.operator.out_px]
        output.output[0] = OUTPUT_NAME
        return helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [1, *graph.input_shape])],
            [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, shape)],
            list(self._tensors.values()),
        )

    def conv(self, node: Node, sources: list[str]) -> str:
        one = node.operator
        shape = (one.out_channels, one.in_channels // one.groups, one.kernel_px, one.kernel_px)
        fan_in = shape[1] * one.kernel_px**2
        inputs = [*sources, self._weight(f"{node.name}.weight", shape, fan_in)]
        if one.bias or one.batch_norm:
            inputs.append(self._weight(f"{node.name}.bias", (one.out_channels,), 0))
        attributes = {
            "kernel_shape": [one.kernel_px] * 2,
            "pads": [one.padding_px] * 4,
            "strides": [one.stride] * 2,
            "group": one.groups,
        }
        return self._add("Conv", inputs, node.name, attributes)

    def linear(self, node: Node, sources: list[str]) -> str:
        one = node.operator
        flat = self._add("Flatten", sources, f"{node.name}.flat", {"axis": 1})
        weight = self._weight(f"{node.name}.weight", (one.out_channels, one.in_channels), one.in_channels)
        inputs = [flat, weight]
        if one.bias:
            inputs.append(self._weight(f"{node.name}.bias", (one.out_channels,), 0))
        return self._add("Gemm", inputs, node.name, {"transB": 1})

    def add(self, node: Node, sources: list[str]) -> str:
        return self._add("Add", sources, node.name)

    def multiply(self, node: Node, sources: list[str]) -> str:
        return self._add("Mul", sources, node.name)

    def pool(self, node: Node, sources: list[str]) -> str:
        one = node.operator
        kind = "MaxPool" if one.kind is OperatorKind.MAX_POOL else "AveragePool"
        attributes = {
            "kernel_shape": [one.kernel_px] * 2,
            "pads": [one.padding_px] * 4,
            "strides": [one.stride] * 2,
        }
        return self._add(kind, sources, node.name, attributes)

    def batch_norm(self, node: Node, sources: list[str]) -> str:
        """Folded it is a scale and a shift a channel: a depthwise convolution, which every runtime has fast."""
        channels = node.operator.out_channels
        weight = self._weight(f"{node.name}.weight", (channels, 1, 1, 1), 1)
        bias = self._weight(f"{node.name}.bias", (channels,), 0)
        return self._add(
            "Conv", [*sources, weight, bias], node.name, {"kernel_shape": [1, 1], "group": channels}
        )

    def channel_shuffle(self, node: Node, sources: list[str]) -> str:
        one = node.operator
        split = [1, one.groups, one.in_channels // one.groups, one.in_px, one.in_px]
        joined = [1, one.in_channels, one.in_px, one.in_px]
        x = self._add("Reshape", [*sources, self._shape(split)], f"{node.name}.split")
        x = self._add("Transpose", [x], f"{node.name}.swap", {"perm": [0, 2, 1, 3, 4]})
        return self._add("Reshape", [x, self._shape(joined)], node.name)

    def zero(self, node: Node, sources: list[str]) -> str:
        return self._add("Mul", [*sources, self._constant("zero", 0.0)], node.name)

    def global_average_pool(self, node: Node, sources: list[str]) -> str:
        return self._add("GlobalAveragePool", sources, node.name)

    def _activated(self, node: Node, source: str) -> str:
        activation = node.operator.activation
        if activation is Activation.NONE:
            return source
        inputs, attributes = [source], {}
        if activation is Activation.RELU6:
            inputs += [self._constant("zero", 0.0), self._constant("six", 6.0)]
        if activation is Activation.HARD_SIGMOID:
            attributes = {"alpha": 1.0 / 6.0, "beta": 0.5}
        return self._add(_ACTIVATIONS[activation], inputs, f"{node.name}.{activation}", attributes)

    def _add(
        self, kind: str, inputs: list[str], name: str, attributes: Mapping[str, Any] = MappingProxyType({})
    ) -> str:
        node = NodeProto(op_type=kind, name=name, input=inputs, output=[name])
        node.attribute.extend(_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return name

    def _weight(self, name: str, shape: tuple[int, ...], fan_in: int) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        file = self._weights.file(shape, fan_in) if self._external else None
        if file is None:
            tensor.raw_data = self._weights.array(name, shape, fan_in).tobytes()
        else:
            self.files[file.name] = file
            tensor.data_location = TensorProto.EXTERNAL
            entries = (("location", file.name), ("offset", "0"), ("length", str(4 * int(np.prod(shape)))))
            for key, value in entries:
                tensor.external_data.add(key=key, value=value)
        self._tensors[name] = tensor
        return name

    def _constant(self, name: str, value: float) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, raw_data=np.float32(value).tobytes())
        self._tensors[name] = tensor
        return name

    def _shape(self, sizes: list[int]) -> str:
        name = "shape." + "x".join(map(str, sizes))
        raw = np.array(sizes, dtype="<i8").tobytes()
        self._tensors[name] = TensorProto(
            name=name, data_type=TensorProto.INT64, dims=[len(sizes)], raw_data=raw
        )
        return name


def _attribute(name: str, value: int | float | list[int]) -> AttributeProto:
    if isinstance(value, list):
        return AttributeProto(name=name, type=AttributeProto.INTS, ints=value)
    if isinstance(value, float):
        return AttributeProto(name=name, type=AttributeProto.FLOAT, f=value)
    return AttributeProto(name=name, type=AttributeProto.INT, i=value)


_Emitter = Callable[[_Writer, Node, list[str]], str]

_EMITTERS: Mapping[OperatorKind, _Emitter] = MappingProxyType(
    {
        OperatorKind.CONV: _Writer.conv,
        OperatorKind.LINEAR: _Writer.linear,
        OperatorKind.ADD: _Writer.add,
        OperatorKind.MULTIPLY: _Writer.multiply,
        OperatorKind.AVERAGE_POOL: _Writer.pool,
        OperatorKind.MAX_POOL: _Writer.pool,
        OperatorKind.GLOBAL_AVERAGE_POOL: _Writer.global_average_pool,
        OperatorKind.BATCH_NORM: _Writer.batch_norm,
        OperatorKind.CHANNEL_SHUFFLE: _Writer.channel_shuffle,
        OperatorKind.ZERO: _Writer.zero,
    }
)

_ACTIVATIONS: Mapping[Activation, str] = MappingProxyType(
    {
        Activation.RELU: "Relu",
        Activation.RELU6: "Clip",
        Activation.SIGMOID: "Sigmoid",
        Activation.HARD_SIGMOID: "HardSigmoid",
        Activation.HARD_SWISH: "HardSwish",
    }
)
