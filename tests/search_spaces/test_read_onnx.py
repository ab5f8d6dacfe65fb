from pathlib import Path
from random import Random

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import Graph, Node
from fleetnas_search_spaces.operators import Activation, OperatorKind
from fleetnas_search_spaces.read_onnx import read_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool


@pytest.mark.parametrize("name", ["nas-bench-macro", "mobilenet-v2", "light-nas", "nas-bench-201", "fbnet"])
def test_network_that_was_emitted_is_read_with_its_macs(name: str, tmp_path: Path) -> None:
    found = space(name)
    one = found.canonical(found.sample(Random(2)))
    graph = found.graph(one)
    model = emit_onnx(graph, WeightPool(tmp_path), key=one.key, external=True)
    (tmp_path / "net.onnx").write_bytes(model.model_bytes)
    summary = read_onnx(tmp_path / "net.onnx")
    assert summary.architecture_key == one.key
    read = [operator.operator for operator in summary.operators]
    as_graph = Graph(graph.input_shape, tuple(Node("x", operator, (), 0) for operator in read), ())
    assert macs(as_graph) - macs(graph) == _norm_macs(graph)
    assert {Activation.NONE} < {operator.activation for operator in read}


def _norm_macs(graph: Graph) -> int:
    """A normalisation that stands alone is written as a depthwise 1 x 1 convolution."""
    norms = [node.operator for node in graph.nodes if node.operator.kind is OperatorKind.BATCH_NORM]
    return sum(one.in_channels * one.in_px**2 for one in norms)


def test_kind_without_a_word_is_kept_as_one(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Softplus", ["x"], ["y"], name="soft"),
            helper.make_node("Relu", ["y"], ["z"], name="relu"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 4, 4])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 8, 4, 4])],
    )
    save(helper.make_model(graph), str(tmp_path / "net.onnx"))
    soft, relu = read_onnx(tmp_path / "net.onnx").operators
    assert (soft.op_type, soft.known_kind, soft.operator.in_channels) == ("Softplus", False, 8)
    assert (relu.known_kind, relu.operator.activation) == (True, Activation.RELU)


def test_dilated_convolution_is_no_plain_one(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 3, 3], np.zeros(576))
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], dilations=[2, 2], pads=[2] * 4)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 4, 4])],
        [weight],
    )
    save(helper.make_model(graph), str(tmp_path / "net.onnx"))
    assert not read_onnx(tmp_path / "net.onnx").operators[0].known_kind


def test_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("no network")
    with pytest.raises(InvalidArgumentError, match="cannot be read as ONNX"):
        read_onnx(tmp_path / "net.onnx")


def _relu(path: Path, sizes: list[int | str] | None, nodes: int = 1) -> Path:
    value = helper.make_tensor_value_info
    made = [helper.make_node("Relu", ["x"], ["y"], name="relu")][:nodes]
    output = value("y" if nodes else "x", TensorProto.FLOAT, sizes)
    graph = helper.make_graph(made, "g", [value("x", TensorProto.FLOAT, sizes)], [output])
    save(helper.make_model(graph), str(path))
    return path


def test_open_batch_is_one_image_and_named(tmp_path: Path) -> None:
    summary = read_onnx(_relu(tmp_path / "net.onnx", ["N", 8, 4, 4]))
    assert summary.one_image == ("x",)
    assert [one.operator.in_px for one in summary.operators] == [4]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([1, 8, "H", 4], "open shape"),
        ([1, 0, 4, 4], r"the shape \(1, 0, 4, 4\)"),
        ([-1, 8, 4, 4], r"the shape \(-1, 8, 4, 4\)"),
        (None, "no shape"),
    ],
)
def test_input_whose_latency_means_nothing_is_refused(
    tmp_path: Path, sizes: list[int | str] | None, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        read_onnx(_relu(tmp_path / "net.onnx", sizes))


def test_network_without_operators_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no operators"):
        read_onnx(_relu(tmp_path / "net.onnx", [1, 8, 4, 4], nodes=0))


def test_damaged_attributes_are_refused_in_one_line(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], np.zeros(64))
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", group=1)
    node.attribute[0].type = 0  # as a flipped bit leaves it
    value = helper.make_tensor_value_info
    sizes = [1, 8, 4, 4]
    graph = helper.make_graph(
        [node], "g", [value("x", TensorProto.FLOAT, sizes)], [value("y", TensorProto.FLOAT, sizes)], [weight]
    )
    (tmp_path / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(InvalidArgumentError, match="'conv'.*damaged"):
        read_onnx(tmp_path / "net.onnx")
