"""ncnn in int8 against fp32: the pretrained MobileNetV2 on the sample images, and its time in the native runner.

``benchmarks/ncnn_int8.py [--images N] [--core C] [--json]``. Needs the data folder (``FLEETNAS_DATA``), the package
ncnn, and for the time the native runner (``make runner TARGET=x86_64``), where int8 and fp32 run side by side.

The weights were trained with TensorFlow's padding, which adds what is missing below and to the right; ours is even on
all sides, so that both networks recognise less than the published one. They are compared with each other.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from imagenet_mobilenet import CALIBRATION_COUNT, STAGES, data_folder, images
from numpy.typing import NDArray

from fleetnas_agents.drivers.runner_file import find_runner
from fleetnas_agents.drivers.runner_output import RunnerOutput
from fleetnas_agents.ncnn_job import RunnerFiles, job_text, sample_input
from fleetnas_agents.runner_answer import measurement_of
from fleetnas_latency.measurement import Measurement, Plan
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.emit_ncnn import INPUT_BLOB, OUTPUT_BLOB, NcnnModel, emit_ncnn
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.int8_ranges import input_ranges
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.weights import NamedWeights

PLAN = Plan(statistic=Statistic.CPU_P10, min_duration_s=3.0, max_duration_s=5.0, anchor_share=0.5)
CLASS_COUNT = 1001
HIGHEST_LABEL = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=250, help="how many are recognised (default: 250)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    root = data_folder()
    if root is None:
        print(
            "ncnn_int8: FLEETNAS_DATA has no mobilenet_v2_imagenet and imagenet_sample_1000", file=sys.stderr
        )
        return 1
    graph = mobilenet_v2()
    weights = pretrained(root, graph)
    stride = HIGHEST_LABEL // CALIBRATION_COUNT
    calibration = range(0, HIGHEST_LABEL, stride)
    ranges = input_ranges(graph, weights, (one[0] for one in images(root, calibration)))
    models = {
        "fp32": emit_ncnn(graph, weights, key="mobilenet-v2"),
        "int8": emit_ncnn(graph, weights, key="mobilenet-v2", input_ranges=ranges),
    }
    labels = [one for one in range(HIGHEST_LABEL) if one % stride][: args.images]
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: recognised(one, root, labels, Path(folder)) for name, one in models.items()}
        timed = in_runner(models, Path(folder), args.core)
    classes = {name: values.argmax(axis=1) for name, values in outputs.items()}
    right = {name: float(np.mean(one - 1 == np.array(labels))) for name, one in classes.items()}
    agreement = float(np.mean(classes["int8"] == classes["fp32"]))
    assert timed.ratio is not None  # there is an anchor
    figures = [
        ("ncnn_int8_top1", right["int8"], "1", "ncnn fp32", right["fp32"]),
        ("ncnn_int8_same_class", agreement, "1", "", None),
        ("ncnn_int8_bin_bytes", len(models["int8"].bin_bytes), "B", "ncnn fp32", len(models["fp32"].bin_bytes)),
        ("ncnn_int8_over_fp32_time", round(timed.ratio.value, 4), "1", "", None),
        ("ncnn_int8_ms", round(timed.estimate.value, 4), "ms", "", None),
    ]  # fmt: skip
    setting = {"images": len(labels), "calibration": len(calibration), "statistic": "cpu_p10", "threads": 1}
    for name, value, unit, peer, peer_value in figures:
        figure = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value}
        print(json.dumps(figure | {"setting": setting}) if args.json else f"{name}: {value} {unit}")
    return 0


def mobilenet_v2() -> Graph:
    """Width 1.0 at 224 pixels, in the order in which the weights are stored."""
    builder = GraphBuilder(224)
    with builder.block(Operator(OperatorKind.STEM, 3, 32, 224), "net"):
        x = builder.conv("stem", builder.input, 32, kernel_px=3, stride=2, activation=Activation.RELU6)
        for stage, (expansion, channels, repeats, stride) in enumerate(STAGES):
            for repeat in range(repeats):
                name = f"stage{stage}.{repeat}"
                x = _block(builder, name, x, expansion, channels, stride if repeat == 0 else 1)
        x = builder.conv("last", x, 1280, activation=Activation.RELU6)
        builder.linear("logits", builder.global_average_pool("pool", x), CLASS_COUNT)
    return builder.build()


def _block(
    builder: GraphBuilder, name: str, source: Tensor, expansion: int, channels: int, stride: int
) -> Tensor:
    x, width = source, source.channels * expansion
    if expansion > 1:
        x = builder.conv(f"{name}.expand", x, width, activation=Activation.RELU6)
    x = builder.conv(
        f"{name}.depthwise", x, width, kernel_px=3, stride=stride, groups=width, activation=Activation.RELU6
    )
    x = builder.conv(f"{name}.project", x, channels)
    return builder.add(f"{name}.add", source, x) if stride == 1 and source.channels == channels else x


def pretrained(root: Path, graph: Graph) -> NamedWeights:
    """The stored layers in order, as floats."""
    stored = np.load(root / "mobilenet_v2_imagenet" / "mobilenet_v2_1.0_224_u8.npz")
    names = sorted({name.rsplit(".", 1)[0] for name in stored.files})
    layers = [one for one in graph.nodes if one.operator.kind in (OperatorKind.CONV, OperatorKind.LINEAR)]
    arrays: dict[str, NDArray[np.float32]] = {}
    for node, name in zip(layers, names, strict=True):
        scale, zero, bias_scale = stored[f"{name}.qparams"][:3]
        weight = (stored[f"{name}.weight_u8"].astype(np.float32) - np.float32(zero)) * np.float32(scale)
        is_linear = node.operator.kind is OperatorKind.LINEAR
        arrays[f"{node.name}.weight"] = weight.reshape(len(weight), -1) if is_linear else weight
        arrays[f"{node.name}.bias"] = (stored[f"{name}.bias_i32"] * bias_scale).astype(np.float32)
    return NamedWeights(arrays)


def recognised(model: NcnnModel, root: Path, labels: list[int], folder: Path) -> NDArray[np.float32]:
    """Logits in ncnn's own package, shape (images, classes)."""
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = 1
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(network.opt, name, False)
    (folder / "net.bin").write_bytes(model.bin_bytes)
    if network.load_param_mem(model.param_text) or network.load_model(str(folder / "net.bin")):
        raise RuntimeError("ncnn refuses the network")

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = network.create_extractor()
        extractor.input(INPUT_BLOB, ncnn.Mat(image[0]).clone())
        return np.array(extractor.extract(OUTPUT_BLOB)[1]).ravel()

    return np.stack(list(_each(run, images(root, labels))))


def _each(run: Any, feed: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for image in feed:
        yield run(image)


def in_runner(models: dict[str, NcnnModel], folder: Path, core: int) -> Measurement:
    """int8 beside fp32 as its anchor."""
    for name, model in models.items():
        (folder / f"{name}.param").write_text(model.param_text)
        (folder / f"{name}.bin").write_bytes(model.bin_bytes)
    (folder / "input").write_bytes(sample_input([models["fp32"].param_text]))
    int8, fp32 = ((f"{folder}/{name}.param", f"{folder}/{name}.bin") for name in ("int8", "fp32"))
    files = RunnerFiles((int8,), fp32, f"{folder}/input", {})
    (folder / "job").write_text(job_text(files, PLAN, (core,), 120.0))
    command = [str(find_runner(None, "x86_64")), str(folder / "job")]
    done = subprocess.run(command, capture_output=True, check=False)
    output = RunnerOutput()
    output.feed(done.stdout + f"\nended {done.returncode}\n".encode())
    return measurement_of(output.result(), PLAN, {})


if __name__ == "__main__":
    sys.exit(main())
