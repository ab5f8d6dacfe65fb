"""The host's runtimes on the pretrained MobileNetV2: agreement with ONNX Runtime in fp32, and latency beside it.

    python benchmarks/runtimes.py --images 1000 --json

One thread. Each runtime and number type is measured by the protocol with ONNX Runtime in fp32 as the anchor in the
same process; int8 is u8s8, calibrated after training. Agreement is how many of the sample images get the same class.
Accuracy is on images that were probably trained on: read it as a difference only.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from imagenet_mobilenet import data_folder, images, write_fp32, write_int8

from fleetnas_agents.runtimes.registry import installed_runtimes, runtime_of
from fleetnas_agents.runtimes.runtime import LoadedNetwork, TimedNetwork
from fleetnas_latency.measurement import Evidence, Measurement, Plan, judge, measure
from fleetnas_latency.statistics import Statistic

PAIRS = (
    ("onnxruntime", "fp32"),
    ("ncnn", "fp32"),
    ("litert", "fp32"),
    ("openvino", "fp32"),
    ("onnxruntime", "int8"),
    ("openvino", "int8"),
)
PLAN = Plan(statistic=Statistic.CPU_P10, anchor_share=0.5, min_duration_s=3.0, max_duration_s=15.0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="of the 1,000 samples, spread evenly")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    root = data_folder()
    if root is None:
        raise SystemExit("no mobilenet_v2_imagenet and imagenet_sample_1000 in $FLEETNAS_DATA")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_fp32(root, folder / "fp32.onnx")
        write_int8(root, folder / "fp32.onnx", folder / "int8.onnx")
        labels = np.arange(0, 1000, 1000 // args.images)
        reference = runtime_of("onnxruntime").load(folder / "fp32.onnx", 1)
        wanted = outputs(reference, root, labels)
        for runtime, kind in PAIRS:
            if runtime not in installed_runtimes():
                continue
            setting = {
                "runtime": runtime,
                "version": installed_runtimes()[runtime],
                "type": kind,
                "threads": 1,
            }
            for figure in figures(runtime, folder / f"{kind}.onnx", reference, (root, labels, wanted)):
                line = {**figure, "setting": setting | {"images": len(labels)}}
                text = f"{runtime} {kind}: {figure['name']} {figure['value']} {figure['unit']}"
                print(json.dumps(line) if args.json else text, flush=True)
    return 0


def figures(name: str, path: Path, reference: LoadedNetwork, sample: Any) -> Iterator[dict[str, Any]]:
    root, labels, wanted = sample
    runtime = runtime_of(name)
    network = runtime.load(runtime.convert(path), 1)
    found = measured(network, reference)
    given = outputs(network, root, labels)
    same = given.argmax(1) == wanted.argmax(1)
    right = given.argmax(1) - 1 == labels
    error = np.abs(given - wanted).max() / np.abs(wanted).max()
    assert found.ratio is not None  # there is an anchor
    ratio = found.ratio
    accuracy = float((wanted.argmax(1) - 1 == labels).mean())
    yield _figure("agreement", round(100 * float(same.mean()), 2), "% of images", 100.0)
    yield _figure("accuracy", round(100 * float(right.mean()), 2), "%", round(100 * accuracy, 2))
    yield _figure("worst_output_difference", float(f"{error:.3g}"), "of the largest", 0.0)
    anchor_ms = found.anchor.value if found.anchor is not None else None
    yield _figure("latency_cpu_p10", found.estimate.value, f"ms, {found.verdict}", anchor_ms)
    interval = {"low": ratio.low, "high": ratio.high}
    yield _figure("latency_ratio", ratio.value, f"of the anchor, {found.verdict}", 1.0) | interval


def _figure(name: str, value: float, unit: str, peer_value: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "peer": "onnxruntime fp32", "peer_value": peer_value}


def measured(network: LoadedNetwork, anchor: LoadedNetwork) -> Measurement:
    raw = measure(TimedNetwork(network), TimedNetwork(anchor), PLAN, time.monotonic)
    return judge(raw, PLAN, Evidence())


def outputs(network: LoadedNetwork, root: Path, labels: Any) -> Any:
    return np.array([network.evaluate(image).ravel() for image in images(root, labels)])


if __name__ == "__main__":
    sys.exit(main())
