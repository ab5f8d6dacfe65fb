"""ONNX -> .tflite for the operators that mobile image networks are made of, in fp32.

Written directly, since the known converters bring a whole training framework each. Images become channels last; a
padding that TensorFlow's SAME does not mean (a symmetric one at stride 2) becomes a PAD of its own, as its own
exporters write it.
"""

__all__ = ["tflite_of_onnx"]

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.runtimes.litert_model import Activation, TfliteModel
from fleetnas_agents.runtimes.whole_onnx import whole_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError


def tflite_of_onnx(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        InvalidArgumentError: It is no ONNX file, or has an operator or attribute that is not translated here.
    """
    import onnx

    try:
        model = onnx.shape_inference.infer_shapes(whole_onnx(path))
    except onnx.shape_inference.InferenceError as error:
        raise InvalidArgumentError(f"'{path.name}' has no consistent shapes: {error}") from error
    return _Conversion(model.graph, path.name).run()


class _Conversion:
    """One graph. A value of the ONNX file is known here by its name, a tensor of the new one by its number."""

    def __init__(self, graph: Any, name: str) -> None:
        from onnx import numpy_helper

        self._graph = graph
        self._name = name
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self._constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        values = [*graph.input, *graph.value_info, *graph.output]
        self._shapes = {
            one.name: tuple(size.dim_value for size in one.type.tensor_type.shape.dim) for one in values
        }
        self._readers = Counter(source for node in graph.node for source in node.input)
        self._tensors: dict[str, int] = {}
        self.model = TfliteModel()

    def run(self) -> bytes:
        inputs = [one.name for one in self._graph.input if one.name not in self._constants]
        for name in inputs:
            self._tensors[name] = self.model.tensor(name, _channels_last(self.shape(name)))
        for node in self._graph.node:
            if node.op_type == "Constant":
                continue
            if node.op_type not in _TRANSLATIONS:
                self.refuse(f"operator {node.op_type}")
            self._tensors[node.output[0]] = _TRANSLATIONS[node.op_type](self, node)
        outputs = [self._tensors[one.name] for one in self._graph.output]
        return self.model.packed([self._tensors[name] for name in inputs], outputs)

    # What translations are made of

    def refuse(self, what: str) -> NoReturn:
        raise InvalidArgumentError(
            f"'{self._name}' has {what}, which is not converted for LiteRT here: take --runtime onnxruntime."
        )

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes.get(name, ())
        if not shape or 0 in shape:
            self.refuse(f"the value '{name}' of unknown shape")
        return shape

    def source(self, node: Any, index: int = 0) -> int:
        """The tensor that an input of the node is; a constant becomes one."""
        name = node.input[index]
        if name not in self._tensors:
            self._tensors[name] = self.model.constant(name, _channels_last_values(self._constants[name]))
        return self._tensors[name]

    def constant(self, node: Any, index: int) -> NDArray[Any] | None:
        """The values of an input that has to be constant; None when it is left out."""
        if len(node.input) <= index or not node.input[index]:
            return None
        if node.input[index] not in self._constants:
            self.refuse(f"a {node.op_type} whose input {index} is computed")
        return self._constants[node.input[index]]

    def output(self, node: Any) -> int:
        return self.model.tensor(node.output[0], _channels_last(self.shape(node.output[0])))

    def padded(self, node: Any, pads: Sequence[int], kernel: Sequence[int], stride: int) -> tuple[int, bool]:
        """The node's first input, padded where SAME would not do it, and whether SAME is to do it."""
        source = self.source(node)
        if not any(pads):
            return source, False
        if stride == 1 and list(pads) == [(size - 1) // 2 for size in kernel] * 2 and kernel[0] % 2 == 1:
            return source, True
        batch, channels, height, width = self.shape(node.input[0])
        top, left, bottom, right = pads
        shape = (batch, height + top + bottom, width + left + right, channels)
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        made = self.model.tensor(f"{node.output[0]}.padded", shape)
        name = f"{node.output[0]}.pads"
        self.model.add("PAD", [source, self.model.constant(name, amounts)], [made])
        return made, False

    # Translations, one for each operator

    def conv(self, node: Any) -> int:
        known = _attributes(node)
        weights = self.constant(node, 1)
        assert weights is not None  # a convolution has some
        if weights.ndim != 4:
            self.refuse(f"a convolution in {weights.ndim - 2} dimensions")
        bias = self.constant(node, 2)
        out_channels, per_group, *kernel = weights.shape
        group, stride = known.get("group", 1), _single(known.get("strides", [1, 1]))
        dilation = _single(known.get("dilations", [1, 1]))
        if stride == 0 or dilation == 0:
            self.refuse("a convolution with different strides for rows and columns")
        reach = [dilation * (size - 1) + 1 for size in kernel]
        source, same = self.padded(node, _pads(known), reach, stride)
        depthwise = per_group == 1 and group > 1
        axes = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        inputs = [
            source,
            self.model.constant(node.input[1], weights.transpose(axes)),
            self.model.constant(
                f"{node.output[0]}.bias", np.zeros(out_channels, np.float32) if bias is None else bias
            ),
        ]
        output = self.output(node)
        options = {"strideH": stride, "strideW": stride, "padding": 0 if same else 1}
        options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
        if depthwise:
            options["depthMultiplier"] = out_channels // group
        self.model.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, [output], options)
        return output

    def gemm(self, node: Any) -> int:
        known = _attributes(node)
        if node.op_type == "MatMul":
            known = {"transB": 0}
        weights = self.constant(node, 1)
        assert weights is not None  # so has a Gemm
        if known.get("transA", 0) or known.get("alpha", 1.0) != 1.0 or known.get("beta", 1.0) != 1.0:
            self.refuse("a Gemm with transA, alpha or beta")
        weights = weights if known.get("transB", 0) else weights.T
        bias = self.constant(node, 2)
        inputs = [self.source(node), self.model.constant(f"{node.output[0]}.weight", weights)]
        inputs.append(
            self.model.constant(
                f"{node.output[0]}.bias",
                np.zeros(len(weights), np.float32)
                if bias is None
                else np.broadcast_to(bias, (len(weights),)),
            )
        )
        output = self.output(node)
        self.model.add("FULLY_CONNECTED", inputs, [output], {"keepNumDims": False})
        return output

    def binary(self, node: Any) -> int:
        sources = [self.source(node, 0), self.source(node, 1)]
        output = self.output(node)
        self.model.add(node.op_type.upper(), sources, [output], {})
        return output

    def clip(self, node: Any) -> int:
        """ReLU or ReLU6, into the operator before it where nobody else reads that."""
        if node.op_type == "Clip":
            bounds = [self.constant(node, index) for index in (1, 2)]
            low, high = (None if one is None else float(one) for one in bounds)
            kind = _CLIPS.get((low, high))
        else:
            kind = Activation.RELU
        if kind is None:
            self.refuse(f"a Clip to ({low}, {high})")
        source = self.source(node)
        if self._readers[node.input[0]] == 1 and self.model.fuse(source, kind):
            return source
        output = self.output(node)
        self.model.add(kind.name, [source], [output])
        return output

    def pointwise(self, node: Any) -> int:
        output = self.output(node)
        self.model.add(_POINTWISE[node.op_type], [self.source(node)], [output])
        return output

    def hard_sigmoid(self, node: Any) -> int:
        """``relu6(x + 3) / 6``: LiteRT has no operator for it."""
        known = _attributes(node)
        if abs(known.get("alpha", 0.2) - 1 / 6) > 1e-6 or known.get("beta", 0.5) != 0.5:
            self.refuse("a HardSigmoid whose slope is not 1/6")
        shape, name = _channels_last(self.shape(node.output[0])), node.output[0]
        moved = self.model.tensor(f"{name}.moved", shape)
        three = self.model.constant(f"{name}.three", np.full(1, 3.0, np.float32))
        self.model.add("ADD", [self.source(node), three], [moved], {})
        self.model.fuse(moved, Activation.RELU6)
        output = self.output(node)
        sixth = self.model.constant(f"{name}.sixth", np.full(1, 1 / 6, np.float32))
        self.model.add("MUL", [moved, sixth], [output], {})
        return output

    def pool(self, node: Any) -> int:
        known = _attributes(node)
        kernel, pads = known["kernel_shape"], _pads(known)
        stride = _single(known.get("strides", [1, 1]))
        average = node.op_type == "AveragePool"
        if stride == 0 or known.get("ceil_mode", 0):
            self.refuse(f"a {node.op_type} with ceil_mode or different strides")
        # SAME leaves padding out of maxima and means, as ONNX does unless told to count it; zeros of a PAD do not.
        if any(pads) and (stride != 1 or (average and known.get("count_include_pad", 0))):
            self.refuse(f"a padded {node.op_type} that SAME does not mean")
        source, same = self.padded(node, pads, kernel, stride)
        options = {"filterHeight": kernel[0], "filterWidth": kernel[1], "padding": 0 if same else 1}
        options |= {"strideH": stride, "strideW": stride}
        output = self.output(node)
        self.model.add("AVERAGE_POOL_2D" if average else "MAX_POOL_2D", [source], [output], options)
        return output

    def mean(self, node: Any) -> int:
        known = _attributes(node)
        axes = known.get("axes") or self.constant(node, 1) if node.op_type == "ReduceMean" else [2, 3]
        if axes is None or sorted(int(one) % 4 for one in axes) != [2, 3]:
            self.refuse(f"a ReduceMean over the axes {axes}")
        source, output = self.source(node), self.output(node)
        over = self.model.constant(f"{node.output[0]}.axes", np.array([1, 2], np.int32))
        self.model.add("MEAN", [source, over], [output], {"keepDims": bool(known.get("keepdims", 1))})
        return output

    def flatten(self, node: Any) -> int:
        before, after = self.shape(node.input[0]), self.shape(node.output[0])
        if len(before) == 4 and before[2:] != (1, 1):
            self.refuse(f"a {node.op_type} of {before}, whose order of channels would change")
        source, output = self.source(node), self.output(node)
        shape = np.array(_channels_last(after), np.int32)
        self.model.add("RESHAPE", [source, self.model.constant(f"{node.output[0]}.shape", shape)], [output])
        return output

    def concat(self, node: Any) -> int:
        if _attributes(node)["axis"] != 1 or len(self.shape(node.input[0])) != 4:
            self.refuse("a Concat over another axis than channels")
        sources = [self.source(node, index) for index in range(len(node.input))]
        output = self.output(node)
        self.model.add("CONCATENATION", sources, [output], {"axis": 3})
        return output

    def identity(self, node: Any) -> int:
        return self.source(node)


_CLIPS: Mapping[tuple[float | None, float | None], Activation] = MappingProxyType(
    {(0.0, 6.0): Activation.RELU6, (0.0, None): Activation.RELU}
)
_Translation = Callable[[_Conversion, Any], int]
_POINTWISE = MappingProxyType({"Sigmoid": "LOGISTIC", "HardSwish": "HARD_SWISH", "Softmax": "SOFTMAX"})
_TRANSLATIONS: Mapping[str, _Translation] = MappingProxyType(
    {
        "Conv": _Conversion.conv,
        "Gemm": _Conversion.gemm,
        "MatMul": _Conversion.gemm,
        "Add": _Conversion.binary,
        "Mul": _Conversion.binary,
        "Clip": _Conversion.clip,
        "Relu": _Conversion.clip,
        "Sigmoid": _Conversion.pointwise,
        "HardSwish": _Conversion.pointwise,
        "HardSigmoid": _Conversion.hard_sigmoid,
        "AveragePool": _Conversion.pool,
        "MaxPool": _Conversion.pool,
        "GlobalAveragePool": _Conversion.mean,
        "ReduceMean": _Conversion.mean,
        "Flatten": _Conversion.flatten,
        "Reshape": _Conversion.flatten,
        "Concat": _Conversion.concat,
        "Identity": _Conversion.identity,
        "Dropout": _Conversion.identity,
    }
)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _pads(known: Mapping[str, Any]) -> list[int]:
    return list(known.get("pads", [0, 0, 0, 0]))


def _single(pair: Sequence[int]) -> int:
    """The one number of two equal ones; 0 when they differ."""
    return pair[0] if pair[0] == pair[1] else 0


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def _channels_last_values(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
