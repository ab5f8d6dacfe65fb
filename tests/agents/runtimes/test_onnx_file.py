"""What is read of an ONNX file without the onnx package."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fleetnas_search_spaces.onnx_precision import onnx_precision
from fleetnas_search_spaces.operators import Precision


def _written(path: Path, kinds: list[type], operator: str = "Sum") -> Path:
    tensors = [numpy_helper.from_array(np.zeros(3, kind), f"w{index}") for index, kind in enumerate(kinds)]
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    node = helper.make_node(operator, [one.name for one in tensors], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [], [value], tensors))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("kinds", "operator", "precision"),
    [
        ([np.float32], "Sum", Precision.FP32),
        ([np.float16, np.float16, np.float32], "Sum", Precision.FP16),
        ([np.float32, np.float32, np.float16], "Sum", Precision.FP32),
        ([np.int8], "DequantizeLinear", Precision.INT8),
        ([np.int8, np.float32], "QLinearConv", Precision.INT8),
        ([np.int64], "Sum", Precision.FP32),
    ],
)
def test_precision_is_that_of_the_weights(
    tmp_path: Path, kinds: list[type], operator: str, precision: Precision
) -> None:
    assert onnx_precision(_written(tmp_path / "net.onnx", kinds, operator)) is precision


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"garbage", b"\x3a\x05abc"])
def test_what_is_no_onnx_counts_as_fp32(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    assert onnx_precision(tmp_path / "net.onnx") is Precision.FP32


def test_cut_off_file_counts_as_what_is_left_of_it(tmp_path: Path) -> None:
    path = _written(tmp_path / "net.onnx", [np.float32])
    for length in range(0, path.stat().st_size, 7):
        (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:length])
        assert onnx_precision(tmp_path / "cut.onnx") in Precision
