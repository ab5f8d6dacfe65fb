"""Integer networks (uint8 activations, int8 weights) through the pretrained MobileNetV2, where the data is."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleetnas_agents.jobs import MeasureError
from fleetnas_agents.runtimes.registry import installed_runtimes, runtime_of
from fleetnas_search_spaces.operators import Precision

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
pytestmark = pytest.mark.slow
LABELS = range(3, 1000, 25)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Functions that make the networks, the data's folder, and a folder with both networks."""
    helpers = runpy.run_path(str(BENCHMARKS / "imagenet_mobilenet.py"))
    root = helpers["data_folder"]()
    if root is None:
        pytest.skip("FLEETNAS_DATA has no mobilenet_v2_imagenet and imagenet_sample_1000")
    folder = tmp_path_factory.mktemp("imagenet")
    helpers["write_fp32"](root, folder / "fp32.onnx")
    helpers["write_int8"](root, folder / "fp32.onnx", folder / "int8.onnx")
    return list(helpers["images"](root, LABELS)), folder


def _classes(name: str, path: Path, images: Any) -> tuple[Any, Precision]:
    runtime = runtime_of(name)
    network = runtime.load(runtime.convert(path), 1)
    return np.array([network.evaluate(image).argmax() for image in images]), network.precision


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "litert", "ncnn"])
def test_pretrained_network_recognises_the_images_in_every_runtime(made: Any, name: str) -> None:
    if name not in installed_runtimes():
        pytest.skip(f"{name} is not installed")
    images, folder = made
    classes, precision = _classes(name, folder / "fp32.onnx", images)
    # The float network was seen to recognise 88 % of these samples.
    assert np.mean(classes - 1 == np.array(LABELS)) >= 0.75
    assert precision is Precision.FP32


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_integer_network_agrees_with_the_float_one(made: Any, name: str) -> None:
    if name not in installed_runtimes():
        pytest.skip(f"{name} is not installed")
    images, folder = made
    wanted, _ = _classes("onnxruntime", folder / "fp32.onnx", images)
    classes, precision = _classes(name, folder / "int8.onnx", images)
    assert np.mean(classes == wanted) >= 0.85
    assert precision is Precision.INT8


@pytest.mark.parametrize("name", ["ncnn", "litert"])
def test_runtime_without_integers_refuses_by_name(made: Any, name: str) -> None:
    with pytest.raises(MeasureError, match=r"int8\.onnx.*onnxruntime"):
        runtime_of(name).convert(made[1] / "int8.onnx")
