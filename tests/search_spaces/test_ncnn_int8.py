"""Networks in integers for ncnn: near the floats they stand for, and the same in a file as in parts."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.emit_ncnn import NcnnModel, emit_ncnn
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.int8_ranges import input_ranges
from fleetnas_search_spaces.ncnn_int8 import int8_weights
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

POOL = WeightPool(None)
FEW_LAYERS, NETWORK = 0.04, 0.1
"""Largest difference over largest magnitude: of rounding to 1/127 in a few layers, and in a network of noise."""


def image(graph: Graph) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(graph.input_shape).astype(np.float32)


def in_int8(graph: Graph) -> NcnnModel:
    return emit_ncnn(graph, POOL, key="k", input_ranges=input_ranges(graph, POOL, [image(graph)]))


def difference(run_ncnn: Any, graph: Graph) -> float:
    floats, integers = (
        run_ncnn(one, image(graph)) for one in (emit_ncnn(graph, POOL, key="k"), in_int8(graph))
    )
    return float(np.abs(floats - integers).max() / np.abs(floats).max())


def squeeze_excite(b: GraphBuilder, x: Tensor) -> Tensor:
    y = b.conv("reduce", b.global_average_pool("pool", x), 4, activation=Activation.RELU, bias=True)
    return b.multiply("scaled", x, b.conv("expand", y, 16, activation=Activation.SIGMOID, bias=True))


def chain(b: GraphBuilder, x: Tensor) -> Tensor:
    """Integers all the way from the first convolution to the last."""
    y = b.conv("c", x, 32, activation=Activation.RELU6)
    y = b.depthwise("d", y, kernel_px=3, stride=2, activation=Activation.HARD_SWISH)
    return b.conv("e", y, 16)


BLOCKS: dict[str, Callable[[GraphBuilder, Tensor], Tensor]] = {
    "convolution": lambda b, x: b.conv("c", x, 32, kernel_px=3, activation=Activation.RELU6),
    "odd channels": lambda b, x: b.conv("c", x, 7, kernel_px=3),
    "depthwise": lambda b, x: b.depthwise("c", x, kernel_px=5, stride=2, activation=Activation.RELU),
    "groups, which stay floats": lambda b, x: b.conv("d", b.conv("c", x, 32, groups=2), 16, groups=4),
    "chain": chain,
    "two readers": lambda b, x: b.add(
        "s", *(b.conv(n, y, 8) for n in "de" for y in [b.conv(f"c{n}", x, 32)])
    ),
    "linear": lambda b, x: b.linear("l", b.global_average_pool("p", b.conv("c", x, 32)), 10),
    "squeeze and excite": squeeze_excite,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_layers_in_integers_give_what_floats_give_within_their_rounding(name: str, run_ncnn: Any) -> None:
    builder = GraphBuilder(12, 16)
    with builder.block(Operator(OperatorKind.STEM, 16, 16, 12), "block"):
        BLOCKS[name](builder, builder.input)
    assert difference(run_ncnn, builder.build()) < FEW_LAYERS


@pytest.mark.parametrize("name", ["nas-bench-macro", "fbnet", "nas-bench-201"])
def test_networks_in_integers_stay_near_the_floats(name: str, run_ncnn: Any) -> None:
    found = space(name)
    assert difference(run_ncnn, found.graph(found.canonical(found.sample(Random(3))))) < NETWORK


def test_integers_go_from_convolution_to_convolution() -> None:
    builder = GraphBuilder(12, 16)
    with builder.block(Operator(OperatorKind.STEM, 16, 16, 12), "block"):
        chain(builder, builder.input)
    lines = [line.split() for line in in_int8(builder.build()).param_text.splitlines()[3:]]
    assert [next(word for word in line if word.startswith("8=")) for line in lines] == [
        "8=101",
        "8=101",
        "8=1",
    ]


def test_file_in_integers_is_a_quarter_of_the_floats() -> None:
    graph = space("nas-bench-macro").graph(space("nas-bench-macro").reference)
    assert len(in_int8(graph).bin_bytes) < 0.3 * len(emit_ncnn(graph, POOL, key="k").bin_bytes)


def test_shared_weights_travel_as_floats_beside_their_scales(tmp_path: Path, run_ncnn: Any) -> None:
    graph = space("nas-bench-macro").graph(space("nas-bench-macro").reference)
    ranges = input_ranges(graph, POOL, [image(graph)])
    floats, integers = (
        emit_ncnn(graph, WeightPool(tmp_path), key="k", external=True, input_ranges=one)
        for one in (None, ranges)
    )
    assert integers.weight_files == floats.weight_files
    inside = run_ncnn(emit_ncnn(graph, POOL, key="k", input_ranges=ranges), image(graph))
    assert np.allclose(run_ncnn(integers, image(graph)), inside, rtol=0.0, atol=1e-3 * np.abs(inside).max())


def test_integers_are_rounded_and_cut_as_ncnn_does() -> None:
    weights = np.array([[0.5, -0.5, 1.49], [200.0, -200.0, 0.0]], np.float32)
    content = int8_weights(weights, (1.0, 1.0))
    assert np.frombuffer(content[4:], np.int8).tolist() == [1, -1, 1, 127, -127, 0, 0, 0]


def test_range_is_the_largest_magnitude_over_all_images() -> None:
    builder = GraphBuilder(4, 2)
    with builder.block(Operator(OperatorKind.STEM, 2, 2, 4), "block"):
        builder.conv("c", builder.input, 2)
    images = [np.full((2, 4, 4), one, np.float32) for one in (1.0, -3.0, 2.0)]
    assert input_ranges(builder.build(), POOL, images) == {"block.c": 3.0}


def test_layer_without_a_range_is_named() -> None:
    builder = GraphBuilder(4, 2)
    with builder.block(Operator(OperatorKind.STEM, 2, 2, 4), "block"):
        builder.conv("c", builder.input, 2)
    with pytest.raises(InvalidArgumentError, match=r"'block\.c' has the range None"):
        emit_ncnn(builder.build(), POOL, key="k", input_ranges={})


def test_no_image_is_no_calibration() -> None:
    builder = GraphBuilder(4, 2)
    with builder.block(Operator(OperatorKind.STEM, 2, 2, 4), "block"):
        builder.conv("c", builder.input, 2)
    with pytest.raises(InvalidArgumentError, match="no image"):
        input_ranges(builder.build(), POOL, [])
