"""The number type of an ONNX file, read where the onnx package may be missing."""

__all__ = ["onnx_precision"]

from collections.abc import Iterator
from pathlib import Path

from fleetnas_search_spaces.operators import Precision

# Field numbers of onnx.proto: ModelProto.graph, GraphProto.node and .initializer, NodeProto.op_type,
# TensorProto.data_type and its two float kinds.
_GRAPH, _NODE, _INITIALIZER, _OP_TYPE, _DATA_TYPE = 7, 1, 5, 4, 2
_FLOAT, _FLOAT16 = 1, 10
_INTEGER_OPERATORS = (b"DequantizeLinear", b"QLinearConv", b"QLinearMatMul", b"ConvInteger", b"MatMulInteger")


def onnx_precision(path: Path) -> Precision:
    """Number type of the weights: INT8 where they are dequantized or multiplied as integers, FP16 where more
    tensors are of 16 bits than of 32. A file that cannot be read counts as FP32; the runtime will refuse it.
    """
    halves = floats = 0
    try:
        for graph in _messages(memoryview(path.read_bytes()), _GRAPH):
            for node in _messages(graph, _NODE):
                if any(bytes(kind) in _INTEGER_OPERATORS for kind in _messages(node, _OP_TYPE)):
                    return Precision.INT8
            for tensor in _messages(graph, _INITIALIZER):
                kind = _number(tensor, _DATA_TYPE)
                halves, floats = halves + (kind == _FLOAT16), floats + (kind == _FLOAT)
    except (IndexError, OSError, ValueError):
        return Precision.FP32
    return Precision.FP16 if halves > floats else Precision.FP32


def _messages(message: memoryview, field: int) -> Iterator[memoryview]:
    for number, value in _fields(message):
        if number == field and isinstance(value, memoryview):
            yield value


def _number(message: memoryview, field: int) -> int:
    for number, value in _fields(message):
        if number == field and isinstance(value, int):
            return value
    return 0


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: protobuf's wire format, without knowing the message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                value, position = _varint(message, position)
                yield tag >> 3, value
            case 2:
                length, position = _varint(message, position)
                yield tag >> 3, message[position : position + length]
                position += length
            case 1:
                position += 8
            case 5:
                position += 4
            case kind:
                raise ValueError(f"wire type {kind} is not of protobuf's third version")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
