"""Graph -> ncnn, written directly: no torch, no converter.

A network is a ``.param`` text (layers and blobs) and its weights, which ncnn reads as one stream in the order of
the layers. The stream is either in a ``.bin`` file, or described by a ``.weights`` text that names the parts of
shared weight files it is made of, so that a device downloads each of these once, whatever is measured on it. The
native runner (``agents/runner``) reads both; ncnn's own tools read the ``.bin``.
"""

__all__ = ["INPUT_BLOB", "OUTPUT_BLOB", "NcnnModel", "emit_ncnn"]

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.ncnn_int8 import Int8Scales, int8_weights, is_vector_conv
from fleetnas_search_spaces.operators import Activation, OperatorKind
from fleetnas_search_spaces.weights import WeightFile, Weights

INPUT_BLOB = "input"
OUTPUT_BLOB = "logits"

_MAGIC = 7767517
_WEIGHTS_MAGIC = "fleetnas-weights 1"
_FLOAT_FLAG = bytes(
    4
)  # a weight array begins with a type tag, and zero means float32; a bias or scale has none
_ADDITION, _MULTIPLICATION = 0, 2
_MAXIMUM, _AVERAGE = 0, 1
_VALID = 1  # pooling windows that would reach beyond the padding are left out, as everywhere else
_INT8_IN, _INT8_OUT = 1, 101  # a layer takes integers and gives floats; it gives integers too
_HARD_ALPHA, _HARD_BETA = 1.0 / 6.0, 0.5

# Inside a convolution or a linear layer: type and parameters.
_FUSED: Mapping[Activation, tuple[int, tuple[float, ...]]] = MappingProxyType(
    {
        Activation.RELU: (1, ()),
        Activation.RELU6: (3, (0.0, 6.0)),
        Activation.SIGMOID: (4, ()),
        Activation.HARD_SWISH: (6, (_HARD_ALPHA, _HARD_BETA)),
    }
)
# As a layer of its own: type and parameters.
_LAYERS: Mapping[Activation, tuple[str, tuple[float, ...]]] = MappingProxyType(
    {
        Activation.RELU: ("ReLU", ()),
        Activation.RELU6: ("Clip", (0.0, 6.0)),
        Activation.SIGMOID: ("Sigmoid", ()),
        Activation.HARD_SIGMOID: ("HardSigmoid", (_HARD_ALPHA, _HARD_BETA)),
        Activation.HARD_SWISH: ("HardSwish", (_HARD_ALPHA, _HARD_BETA)),
    }
)


@dataclass(frozen=True, slots=True)
class NcnnModel:
    """A network for ncnn.

    Attributes:
        param_text: The ``.param`` file.
        bin_bytes: The ``.bin`` file; empty when the weights are in files.
        weights_text: The ``.weights`` file that puts the stream together; empty when there is a ``.bin``.
        weight_files: What ``weights_text`` names; they must lie beside it under their names.
    """

    param_text: str
    bin_bytes: bytes = b""
    weights_text: str = ""
    weight_files: tuple[WeightFile, ...] = ()


def emit_ncnn(
    graph: Graph,
    weights: Weights,
    *,
    key: str,
    external: bool = False,
    input_ranges: Mapping[str, float] | None = None,
) -> NcnnModel:
    """Writes a network for inference at batch 1, every batch normalisation folded into its convolution.

    In fp32, or where ``input_ranges`` are given with convolutions and linear layers in int8: one scale for each
    output channel of the weights, one for the layer's input, and from convolution to convolution no floats.

    The result depends on the arguments alone. Input blob and output blob are ``INPUT_BLOB`` and ``OUTPUT_BLOB``.

    Args:
        key: The architecture's key, kept in ``weights_text``.
        external: Refer to the weights' files instead of holding the values. They hold floats, which ncnn makes
            integers of when it loads them.
        input_ranges: By the name of each convolution and linear layer the largest magnitude of its input, as
            ``int8_ranges.input_ranges`` finds it.

    Raises:
        InvalidArgumentError: A node is no primitive or lacks its range, or ``external`` is asked for and the weights
            are not in files.
    """
    writer = _Writer(
        graph, weights, external, Int8Scales(graph, input_ranges) if input_ranges is not None else None
    )
    for node in graph.nodes:
        writer.write(node)
    writer.name_output()
    files = tuple(writer.files[name] for name in sorted(writer.files))
    text = "\n".join([_WEIGHTS_MAGIC, f"# {key}", *writer.parts, ""]) if external else ""
    return NcnnModel(writer.param_text(), b"".join(writer.content), text, files)


@dataclass(frozen=True, slots=True)
class _Layer:
    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: str = ""

    def line(self) -> str:
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        return " ".join(
            filter(None, [self.kind, self.name, counts, *self.inputs, *self.outputs, self.parameters])
        )


class _Writer:
    """Collects layers and the weight stream. A blob feeds one layer only, so a shared one goes through a Split."""

    def __init__(self, graph: Graph, weights: Weights, external: bool, int8: Int8Scales | None) -> None:
        self._weights = weights
        self._int8 = int8
        self._external = external
        self._readers = _reader_counts(graph)
        channels, height_px, width_px = graph.input_shape
        self._layers = [
            _Layer("Input", INPUT_BLOB, (), (INPUT_BLOB,), f"0={width_px} 1={height_px} 2={channels}")
        ]
        self._blobs: dict[str, list[str]] = {}
        self.content: list[bytes] = []
        self.parts: list[str] = []
        self.files: dict[str, WeightFile] = {}
        self._offer(INPUT, INPUT_BLOB)

    def write(self, node: Node) -> None:
        sources = tuple(self._blobs[name].pop() for name in node.inputs)
        kind = node.operator.kind
        if kind is OperatorKind.ACTIVATION:
            self._offer(node.name, self._activation_layer(node, sources[0]))
            return
        if kind not in _EMITTERS:
            raise InvalidArgumentError(
                f"node '{node.name}' is a {kind}, which is no primitive: a graph is made of {sorted(_EMITTERS)}."
            )
        self._offer(node.name, _EMITTERS[kind](self, node, sources))

    def name_output(self) -> None:
        """The last blob gets the name that runners ask for."""
        last = self._layers[-1]
        self._layers[-1] = _Layer(last.kind, last.name, last.inputs, (OUTPUT_BLOB,), last.parameters)

    def param_text(self) -> str:
        blob_count = sum(len(layer.outputs) for layer in self._layers)
        lines = [
            str(_MAGIC),
            f"{len(self._layers)} {blob_count}",
            *(layer.line() for layer in self._layers),
            "",
        ]
        return "\n".join(lines)

    def conv(self, node: Node, sources: tuple[str, ...]) -> str:
        one = node.operator
        shape = (one.out_channels, one.in_channels // one.groups, one.kernel_px, one.kernel_px)
        has_bias = one.bias or one.batch_norm
        if is_vector_conv(one):
            return self._inner_product(node, sources, shape, has_bias)
        parameters = (
            f"0={one.out_channels} 1={one.kernel_px} 3={one.stride} 4={one.padding_px} 5={int(has_bias)} "
            f"6={shape[0] * shape[1] * one.kernel_px**2}"
        )
        if one.groups > 1:
            parameters += f" 7={one.groups}"
        parameters += self._weights_and_bias(node, shape, has_bias)
        kind = "ConvolutionDepthWise" if one.groups > 1 else "Convolution"
        return self._weighted(kind, node, sources, parameters)

    def linear(self, node: Node, sources: tuple[str, ...]) -> str:
        one = node.operator
        return self._inner_product(node, sources, (one.out_channels, one.in_channels), one.bias)

    def _inner_product(
        self, node: Node, sources: tuple[str, ...], shape: tuple[int, ...], has_bias: bool
    ) -> str:
        parameters = f"0={shape[0]} 1={int(has_bias)} 2={shape[0] * shape[1]}"
        parameters += self._weights_and_bias(node, shape, has_bias)
        return self._weighted("InnerProduct", node, sources, parameters)

    def add(self, node: Node, sources: tuple[str, ...]) -> str:
        return self._activated(node, self._layer("BinaryOp", node.name, sources, f"0={_ADDITION}"))

    def multiply(self, node: Node, sources: tuple[str, ...]) -> str:
        return self._activated(node, self._layer("BinaryOp", node.name, sources, f"0={_MULTIPLICATION}"))

    def pool(self, node: Node, sources: tuple[str, ...]) -> str:
        one = node.operator
        kind = _MAXIMUM if one.kind is OperatorKind.MAX_POOL else _AVERAGE
        parameters = f"0={kind} 1={one.kernel_px} 2={one.stride} 3={one.padding_px} 5={_VALID}"
        return self._activated(node, self._layer("Pooling", node.name, sources, parameters))

    def global_average_pool(self, node: Node, sources: tuple[str, ...]) -> str:
        return self._activated(node, self._layer("Pooling", node.name, sources, f"0={_AVERAGE} 4=1"))

    def batch_norm(self, node: Node, sources: tuple[str, ...]) -> str:
        """Folded it is a scale and a shift a channel."""
        channels = node.operator.out_channels
        self._weight(f"{node.name}.weight", (channels, 1, 1, 1), 1, flagged=False)
        self._weight(f"{node.name}.bias", (channels,), 0, flagged=False)
        return self._activated(node, self._layer("Scale", node.name, sources, f"0={channels} 1=1"))

    def channel_shuffle(self, node: Node, sources: tuple[str, ...]) -> str:
        return self._layer("ShuffleChannel", node.name, sources, f"0={node.operator.groups}")

    def zero(self, node: Node, sources: tuple[str, ...]) -> str:
        return self._layer("BinaryOp", node.name, sources, f"0={_MULTIPLICATION} 1=1 2={_number(0.0)}")

    def _weighted(self, kind: str, node: Node, sources: tuple[str, ...], parameters: str) -> str:
        """A layer with weights, which takes its activation in where ncnn can."""
        if node.operator.activation not in _FUSED:
            return self._activated(node, self._layer(kind, node.name, sources, parameters))
        number, values = _FUSED[node.operator.activation]
        parameters += f" 9={number}"
        if values:
            parameters += f" -23310={len(values)},{','.join(map(_number, values))}"
        return self._layer(kind, node.name, sources, parameters)

    def _activated(self, node: Node, source: str) -> str:
        return source if node.operator.activation is Activation.NONE else self._activation_layer(node, source)

    def _activation_layer(self, node: Node, source: str) -> str:
        kind, values = _LAYERS[node.operator.activation]
        parameters = " ".join(f"{index}={_number(value)}" for index, value in enumerate(values))
        return self._layer(kind, f"{node.name}.{node.operator.activation}", (source,), parameters)

    def _layer(self, kind: str, name: str, inputs: tuple[str, ...], parameters: str) -> str:
        self._layers.append(_Layer(kind, name, inputs, (name,), parameters))
        return name

    def _offer(self, node: str, blob: str) -> None:
        """Makes a node's output available to each of its readers."""
        count = self._readers.get(node, 1)
        if count > 1:
            copies = tuple(f"{blob}.copy{index}" for index in range(count))
            self._layers.append(_Layer("Split", f"{blob}.split", (blob,), copies))
            self._blobs[node] = list(reversed(copies))
        else:
            self._blobs[node] = [blob]

    def _weights_and_bias(self, node: Node, shape: tuple[int, ...], has_bias: bool) -> str:
        """A layer's part of the stream; returns the parameter that says how integers are scaled, if they are."""
        name, fan_in = f"{node.name}.weight", math.prod(shape[1:])
        int8 = self._int8 if self._int8 is not None and self._int8.covers(node) else None
        scales = () if int8 is None else int8.weight_scales(self._weights.array(name, shape, fan_in))
        if scales and not self._external:
            self.content.append(int8_weights(self._weights.array(name, shape, fan_in), scales))
        else:
            self._weight(name, shape, fan_in)
        if has_bias:
            self._weight(f"{node.name}.bias", (shape[0],), 0, flagged=False)
        if int8 is None:
            return ""
        output_scale = int8.output_scale(node)
        self._values([*scales, int8.input_scale(node), *output_scale])
        return f" 8={_INT8_OUT if output_scale else _INT8_IN}"

    def _values(self, values: Sequence[float]) -> None:
        """Numbers of the stream that belong to no tensor."""
        if self._external:
            self.parts.append("values " + " ".join(f"{one:.9g}" for one in values))
        else:
            self.content.append(np.asarray(values, "<f4").tobytes())

    def _weight(self, name: str, shape: tuple[int, ...], fan_in: int, *, flagged: bool = True) -> None:
        flag = _FLOAT_FLAG if flagged else b""
        if not self._external:
            self.content += [flag, self._weights.array(name, shape, fan_in).tobytes()]
            return
        file = self._weights.file(shape, fan_in)
        if file is None:
            raise InvalidArgumentError(
                f"tensor '{name}' is in no file: write the weights into the network (external=False)."
            )
        self.files[file.name] = file
        self.parts += [*(["float32"] if flag else []), f"{file.name} {4 * math.prod(shape)}"]


def _reader_counts(graph: Graph) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _number(value: float) -> str:
    """As ncnn reads it: a number with a point or an exponent is a float, one without is an integer."""
    return f"{value:.9e}"


_Emitter = Callable[[_Writer, Node, tuple[str, ...]], str]

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
