"""What is said of ONNX files that cannot be measured, before a device is asked."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fleetnas_controller.user_network import read_network
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError, NotFoundError


def _model(sizes: list[int | str | None], weight: TensorProto | None = None) -> onnx.ModelProto:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in "xy"]
    weights = [] if weight is None else [weight]
    node = helper.make_node("Relu", ["x"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", tensors[:1], tensors[1:], weights))


def _saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def _beside(name: str) -> TensorProto:
    weight = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(weight, name)
    weight.ClearField("raw_data")
    return weight


def test_model_with_its_weights_inside_is_one_file(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.onnx", _model([1, 8]))
    found = read_network(path)
    assert found.files == (("net.onnx", path),)
    assert found.size_bytes == path.stat().st_size


def test_weight_files_beside_it_come_with_it(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(12))
    path = _saved(tmp_path / "net.onnx", _model([1, 8], _beside("w.bin")))
    assert dict(read_network(path).files) == {"net.onnx": path, "w.bin": tmp_path / "w.bin"}


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.onnx"):
        read_network(tmp_path / "none.onnx")


def test_missing_weight_file_is_named(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.onnx", _model([1, 8], _beside("w.bin")))
    with pytest.raises(NotFoundError, match=r"w\.bin"):
        read_network(path)


@pytest.mark.parametrize("name", ["../w.bin", "/etc/hostname"])
def test_weight_file_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(12))
    with pytest.raises(InvalidArgumentError, match="not beside it"):
        read_network(_saved(folder / "net.onnx", _model([1, 8], _beside(name))))


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(1000), b"TFL3" * 20], ids=str)
def test_what_is_no_onnx_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(FleetNASError, match="no ONNX file") as caught:
        read_network(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("sizes", "shown"), [(["batch", 8], "batch, 8"), ([None, 8], "?, 8")])
def test_open_sizes_are_refused_and_shown(tmp_path: Path, sizes: list[int | str | None], shown: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_network(_saved(tmp_path / "net.onnx", _model(sizes)))
    assert f"({shown})" in str(caught.value)
    assert "make_dynamic_shape_fixed" in str(caught.value)


@pytest.mark.parametrize("weights", ["net.bin", "net.weights"])
def test_ncnn_network_brings_its_weights(weights: str, tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n")
    (tmp_path / "w.f32").write_bytes(b"1234")
    (tmp_path / weights).write_text("fleetnas-weights 1\n# one\nfloat32\nw.f32 4\nvalues 0.5\n")
    found = dict(read_network(tmp_path / "net.param").files)
    assert set(found) == {"net.param", weights} | ({"w.f32"} if weights == "net.weights" else set())


@pytest.mark.parametrize("missing", ["net.param", "net.bin", "w.f32"])
def test_ncnn_network_that_is_not_whole_is_said(missing: str, tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n")
    if missing == "w.f32":
        (tmp_path / "net.weights").write_text("fleetnas-weights 1\nw.f32 4\n")
    elif missing == "net.param":
        (tmp_path / "net.param").unlink()
    with pytest.raises(NotFoundError, match=missing.replace(".", r"\.")):
        read_network(tmp_path / "net.param")
