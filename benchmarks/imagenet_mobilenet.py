"""The pretrained MobileNetV2 and the 1,000 sample images of the data folder, as ONNX in fp32 and int8 (u8s8)."""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto, checker, helper, numpy_helper, save

# Expansion, channels, repeats, stride of the paper's table 2.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
CALIBRATION_COUNT = 64


def data_folder() -> Path | None:
    """Where `FLEETNAS_DATA` points to, if both data sets are there."""
    root = Path(os.environ.get("FLEETNAS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    wanted = (root / "mobilenet_v2_imagenet", root / "imagenet_sample_1000")
    return root if all(one.is_dir() for one in wanted) else None


def images(root: Path, indices: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Each of shape (1, 3, 224, 224); the index is the label."""
    from PIL import Image

    stored = np.load(root / "imagenet_sample_1000" / "imagenet1000_224.npz")
    jpegs, offsets = stored["jpeg"], stored["offsets"]
    for index in indices:
        with Image.open(io.BytesIO(jpegs[offsets[index] : offsets[index + 1]].tobytes())) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32)
        yield ((pixels - 128.0) / 128.0).transpose(2, 0, 1)[None].copy()


def write_fp32(root: Path, path: Path) -> None:
    """The network in floats; class 0 is the background, so that the label of class k is k + 1."""
    stored = np.load(root / "mobilenet_v2_imagenet" / "mobilenet_v2_1.0_224_u8.npz")
    names = sorted({name.rsplit(".", 1)[0] for name in stored.files})
    writer = _Writer(stored, names)
    source = writer.conv("input", stride=2, relu6=True)
    for expansion, channels, repeats, stride in STAGES:
        for repeat in range(repeats):
            source = writer.block(source, expansion, channels, stride if repeat == 0 else 1)
    source = writer.conv(source, relu6=True)
    source = writer.add("GlobalAveragePool", [source])
    source = writer.conv(source)
    writer.add("Flatten", [source], "logits")
    model = helper.make_model(
        writer.graph(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="fleetnas"
    )
    checker.check_model(model)
    save(model, str(path))


def write_int8(root: Path, source: Path, path: Path) -> None:
    """Post-training: uint8 activations, int8 weights for each channel, calibrated on every fifteenth image."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._images = images(root, range(0, 1000, 1000 // CALIBRATION_COUNT))

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            return None if image is None else {"input": image}

    quantize_static(
        str(source),
        str(path),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


class _Writer:
    """Takes the stored layers in order."""

    def __init__(self, stored: Any, names: Sequence[str]) -> None:
        self._stored = stored
        self._names = iter(names)
        self._nodes: list[Any] = []
        self._tensors = [
            numpy_helper.from_array(np.float32(value), name) for name, value in (("zero", 0.0), ("six", 6.0))
        ]
        self._channels: dict[str, int] = {}

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(self, source: str, stride: int = 1, *, relu6: bool = False) -> str:
        name = next(self._names)
        scale, zero, bias_scale = self._stored[f"{name}.qparams"][:3]
        weight = (self._stored[f"{name}.weight_u8"].astype(np.float32) - np.float32(zero)) * np.float32(scale)
        bias = self._stored[f"{name}.bias_i32"] * bias_scale
        for part, values in (("weight", weight), ("bias", bias)):
            self._tensors.append(numpy_helper.from_array(values.astype(np.float32), f"{name}.{part}"))
        kernel = weight.shape[2]
        # TensorFlow's SAME: what is missing at stride 2 is added below and to the right.
        before = (kernel - stride) // 2 if kernel > 1 else 0
        after = kernel - stride - before if kernel > 1 else 0
        output = self.add(
            "Conv",
            [source, f"{name}.weight", f"{name}.bias"],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[before, before, after, after],
            group=weight.shape[0] if name.endswith("_dw") else 1,
        )
        if relu6:
            output = self.add("Clip", [output, "zero", "six"])
        self._channels[output] = weight.shape[0]
        return output

    def block(self, source: str, expansion: int, channels: int, stride: int) -> str:
        inner = self.conv(source, relu6=True) if expansion > 1 else source
        inner = self.conv(inner, stride, relu6=True)
        output = self.conv(inner)
        if stride == 1 and self._channels[source] == channels:
            output = self.add("Add", [source, output])
            self._channels[output] = channels
        return output

    def graph(self) -> GraphProto:
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("input", [1, 3, 224, 224]), ("logits", [1, 1001]))
        ]
        return helper.make_graph(self._nodes, "mobilenet_v2", ends[:1], ends[1:], self._tensors)
