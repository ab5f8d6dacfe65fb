"""A .tflite file in the making: tensors, operators, and the bytes at the end."""

__all__ = ["Activation", "TfliteModel"]

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCHEMA_VERSION = 3
_IDENTIFIER = b"TFL3"
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SOFTMAX": "SoftmaxOptions",
}
_FUSING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL")


class Activation(IntEnum):
    """What an operator does to its output; the numbers are the schema's."""

    NONE = 0
    RELU = 1
    RELU6 = 3


class TfliteModel:
    """Grows operator by operator, in the order they run."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._operators: list[Any] = []
        self._kinds: list[str] = []
        self._makers: dict[int, int] = {}

    def tensor(self, name: str, shape: Sequence[int], kind: int | None = None, buffer: int = 0) -> int:
        """Declares a tensor that some operator fills (``buffer`` 0) and returns its number."""
        made = self._schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), list(shape), buffer
        made.type = self._schema.TensorType.FLOAT32 if kind is None else kind
        self._tensors.append(made)
        return len(self._tensors) - 1

    def constant(self, name: str, values: NDArray[Any]) -> int:
        """Declares a tensor with values, floats or integers."""
        integers = values.dtype.kind in "iu"
        stored = np.ascontiguousarray(values, np.int32 if integers else np.float32)
        buffer = self._schema.BufferT()
        buffer.data = stored.reshape(-1).view(np.uint8)
        self._buffers.append(buffer)
        kinds = self._schema.TensorType
        return self.tensor(
            name, stored.shape, kinds.INT32 if integers else kinds.FLOAT32, len(self._buffers) - 1
        )

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends an operator, e.g. ``"CONV_2D"``, with the options that its schema names."""
        made = self._schema.OperatorT()
        made.inputs, made.outputs = list(inputs), list(outputs)
        if kind not in self._kinds:
            self._kinds.append(kind)
        made.opcodeIndex = self._kinds.index(kind)
        if kind in _OPTIONS:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, _OPTIONS[kind])
            made.builtinOptions = getattr(self._schema, f"{_OPTIONS[kind]}T")()
            if kind == "SOFTMAX":
                made.builtinOptions.beta = 1.0
            for name, value in (options or {}).items():
                setattr(made.builtinOptions, name, value)
        for one in outputs:
            self._makers[one] = len(self._operators)
        self._operators.append(made)

    def fuse(self, tensor: int, activation: Activation) -> bool:
        """Puts an activation into the operator that makes ``tensor``; False when it has no place for one."""
        index = self._makers.get(tensor)
        if index is None or self._kinds[self._operators[index].opcodeIndex] not in _FUSING:
            return False
        options = self._operators[index].builtinOptions
        if options.fusedActivationFunction != Activation.NONE:
            return False
        options.fusedActivationFunction = int(activation)
        return True

    def packed(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file's bytes."""
        import flatbuffers

        graph = self._schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        graph.name = b"network"
        model = self._schema.ModelT()
        model.version, model.subgraphs, model.buffers = _SCHEMA_VERSION, [graph], self._buffers
        model.operatorCodes = [self._code(kind) for kind in self._kinds]
        model.description = b"fleetnas"
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, kind: str) -> Any:
        code = self._schema.OperatorCodeT()
        number = getattr(self._schema.BuiltinOperator, kind)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        return code
