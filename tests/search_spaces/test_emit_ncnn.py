"""Networks written for ncnn give what ONNX Runtime gives."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.emit_ncnn import NcnnModel, emit_ncnn
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.registry import space, space_names
from fleetnas_search_spaces.weights import NamedWeights, WeightPool

TOLERANCE = 1e-3


def feed(graph: Graph) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(graph.input_shape).astype(np.float32)


def run_onnx(graph: Graph, weights: WeightPool | NamedWeights) -> NDArray[np.float32]:
    import onnxruntime

    content = emit_onnx(graph, weights, key="k").model_bytes
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": feed(graph)[np.newaxis]})[0]).ravel()


def difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Largest difference over the largest magnitude."""
    assert first.shape == second.shape
    return float(np.abs(first - second).max() / np.abs(second).max())


Run = Callable[[NcnnModel, NDArray[np.float32]], NDArray[np.float32]]


@pytest.fixture(params=space_names())
def drawn(request: pytest.FixtureRequest) -> tuple[SearchSpace, Architecture]:
    found = space(request.param)
    return found, found.canonical(found.sample(Random(3)))


def test_every_space_gives_what_onnx_runtime_gives(
    drawn: tuple[SearchSpace, Architecture], run_ncnn: Run
) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    output = run_ncnn(emit_ncnn(graph, WeightPool(None), key=architecture.key), feed(graph))
    assert difference(output, run_onnx(graph, WeightPool(None))) < TOLERANCE


def test_weights_in_shared_files_are_the_same_stream(
    tmp_path: Path, stream: Callable[[NcnnModel], bytes]
) -> None:
    graph = space("nas-bench-macro").graph(space("nas-bench-macro").reference)
    pool = WeightPool(tmp_path)
    inside, outside = (emit_ncnn(graph, pool, key="k", external=one) for one in (False, True))
    assert inside.param_text == outside.param_text
    assert stream(outside) == inside.bin_bytes
    assert (outside.bin_bytes, inside.weights_text) == (b"", "")


def one_block(build: Callable[[GraphBuilder, Tensor], Tensor]) -> Graph:
    builder = GraphBuilder(12, 8)
    with builder.block(Operator(OperatorKind.STEM, 8, 8, 12), "block"):
        build(builder, builder.input)
    return builder.build()


def squeeze_excite(builder: GraphBuilder, x: Tensor) -> Tensor:
    pooled = builder.global_average_pool("pool", x)
    reduced = builder.conv("reduce", pooled, 4, activation=Activation.RELU, batch_norm=False, bias=True)
    scale = builder.conv("scale", reduced, 8, activation=Activation.HARD_SIGMOID, batch_norm=False, bias=True)
    return builder.multiply("scaled", x, scale)


BLOCKS: dict[str, Callable[[GraphBuilder, Tensor], Tensor]] = {
    "max_pool": lambda b, x: b.pool("pool", x, kind=OperatorKind.MAX_POOL, kernel_px=3, stride=2),
    "average_pool": lambda b, x: b.pool("pool", x, kind=OperatorKind.AVERAGE_POOL, kernel_px=3),
    "grouped_conv": lambda b, x: b.conv("conv", x, 16, kernel_px=3, groups=4, stride=2),
    "shared_input": lambda b, x: b.add("sum", x, b.conv("conv", x, 8), activation=Activation.RELU),
    "squeeze_excite": squeeze_excite,
    "batch_norm": lambda b, x: b.batch_norm("norm", x, activation=Activation.RELU),
    "channel_shuffle": lambda b, x: b.channel_shuffle("shuffle", x, groups=4),
    "zero": lambda b, x: b.add("sum", x, b.zero("zero", b.conv("conv", x, 8))),
    "linear": lambda b, x: b.linear("linear", b.global_average_pool("pool", x), 5),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_every_primitive_gives_what_onnx_runtime_gives(name: str, run_ncnn: Run) -> None:
    graph = one_block(BLOCKS[name])
    output = run_ncnn(emit_ncnn(graph, WeightPool(None), key="k"), feed(graph))
    assert difference(output, run_onnx(graph, WeightPool(None))) < TOLERANCE


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("activation", [one for one in Activation if one is not Activation.NONE])
def test_every_activation_gives_what_onnx_runtime_gives(
    activation: Activation, fused: bool, run_ncnn: Run
) -> None:
    def build(builder: GraphBuilder, x: Tensor) -> Tensor:
        if fused:
            return builder.conv("conv", x, 8, activation=activation)
        return builder.activation("function", builder.conv("conv", x, 8), activation)

    graph = one_block(build)
    output = run_ncnn(emit_ncnn(graph, WeightPool(None), key="k"), feed(graph))
    assert difference(output, run_onnx(graph, WeightPool(None))) < TOLERANCE


def test_given_weights_are_the_ones_written() -> None:
    graph = one_block(lambda b, x: b.conv("conv", x, 2, batch_norm=False, bias=True))
    kernel = np.arange(16, dtype=np.float32).reshape(2, 8, 1, 1)
    bias = np.array([7.0, 9.0], dtype=np.float32)
    weights = NamedWeights({"block.conv.weight": kernel, "block.conv.bias": bias})
    assert emit_ncnn(graph, weights, key="k").bin_bytes == bytes(4) + kernel.tobytes() + bias.tobytes()


def test_weights_that_are_in_no_file_cannot_be_referred_to() -> None:
    graph = one_block(lambda b, x: b.conv("conv", x, 2))
    with pytest.raises(InvalidArgumentError, match="in no file"):
        emit_ncnn(graph, WeightPool(None), key="k", external=True)


def test_block_that_is_no_primitive_is_refused() -> None:
    node = Node("head", Operator(OperatorKind.HEAD, 8, 8, 1), (INPUT,), 0)
    with pytest.raises(InvalidArgumentError, match="no primitive"):
        emit_ncnn(Graph((8, 1, 1), (node,), ()), WeightPool(None), key="k")


def test_same_architecture_gives_the_same_text() -> None:
    graph = one_block(squeeze_excite)
    assert len({emit_ncnn(graph, WeightPool(None), key="k").param_text for _ in range(2)}) == 1
