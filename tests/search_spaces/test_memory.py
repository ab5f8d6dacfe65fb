from dataclasses import replace

import onnx
import pytest

from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.memory import model_bytes, peak_memory_bytes
from fleetnas_search_spaces.operators import Operator, OperatorKind, Precision
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool


def _conv(name: str, source: str, channels: int, out_channels: int, **more: object) -> Node:
    operator = Operator(OperatorKind.CONV, channels, out_channels, 8, **more)  # type: ignore[arg-type]
    return Node(name, operator, (source,), 0)


def _residual() -> Graph:
    """input (3) -> a (16) -> b (64) -> c (16); a + c."""
    add = Node("sum", Operator(OperatorKind.ADD, 16, 16, 8), ("a", "c"), 0)
    nodes = (_conv("a", INPUT, 3, 16), _conv("b", "a", 16, 64), _conv("c", "b", 64, 16), add)
    return Graph((3, 8, 8), nodes, (nodes[0].operator,))


def test_a_shortcut_keeps_its_source_alive() -> None:
    # While c runs there are a (for the sum), b and c: 16 + 64 + 16 channels of 8 x 8 floats.
    assert peak_memory_bytes(_residual()) == (16 + 64 + 16) * 64 * 4


def test_a_chain_needs_its_widest_pair() -> None:
    graph = _residual()
    chain = replace(graph, nodes=graph.nodes[:3])
    assert peak_memory_bytes(chain) == (16 + 64) * 64 * 4


def test_the_image_counts_while_it_is_read() -> None:
    graph = Graph((3, 8, 8), (_conv("a", INPUT, 3, 2),), ())
    assert peak_memory_bytes(graph) == (3 + 2) * 64 * 4


@pytest.mark.parametrize(
    ("precision", "peak", "weights"), [("fp16", 2, 2 * (48 + 16)), ("int8", 1, 48 + 4 * 16)]
)
def test_bytes_follow_the_precision(precision: str, peak: int, weights: int) -> None:
    node = _conv("a", INPUT, 3, 16, precision=Precision(precision), batch_norm=True)
    graph = Graph((3, 8, 8), (node,), ())
    assert peak_memory_bytes(graph) == (3 + 16) * 64 * peak
    assert model_bytes(graph) == weights


@pytest.mark.parametrize("name", ["nas-bench-macro", "mobilenet-v2", "light-nas"])
def test_model_bytes_are_those_of_the_exported_weights(name: str) -> None:
    one = space(name)
    graph = one.graph(one.canonical(one.reference))
    exported = onnx.load_from_string(emit_onnx(graph, WeightPool(None), key="any").model_bytes)
    sizes = [
        len(tensor.raw_data)
        for tensor in exported.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims  # not the bounds of a ReLU6
    ]
    assert model_bytes(graph) == sum(sizes)
