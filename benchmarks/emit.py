"""Networks a second: graph, costs and ONNX with shared weights; costs alone. One core.

python benchmarks/emit.py --json
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

# PaddleSlim 2.6.0: next_archs, static program and FLOPs of MobileNetV2-sized networks, measured on a like machine.
PEER_NETWORKS_A_SECOND = 1.17


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    args = parser.parse_args()
    for name in ("mobilenet-v2", "nas-bench-macro"):
        found, rng = space(name), Random(0)
        drawn = [found.sample(rng) for _ in range(args.networks)]
        with tempfile.TemporaryDirectory() as folder:
            pool = WeightPool(Path(folder))
            for one in drawn:  # the weights are written once, and that is not what is timed
                emit_onnx(found.graph(one), pool, key=one.key, external=True)
            begin = time.process_time()
            for one in drawn:
                graph = found.graph(one)
                macs(graph)
                params(graph)
                emit_onnx(graph, pool, key=one.key, external=True)
            built_s = time.process_time() - begin
        begin = time.process_time()
        for one in drawn:
            graph = found.graph(one)
            macs(graph)
            params(graph)
        costed_s = time.process_time() - begin
        for label, seconds in (("build_cost_emit", built_s), ("cost", costed_s)):
            figure = {
                "name": label, "value": round(args.networks / seconds, 1), "unit": "networks/s (CPU time)",
                "peer": "PaddleSlim build + FLOPs", "peer_value": PEER_NETWORKS_A_SECOND, "setting": {"space": name},
            }  # fmt: skip
            print(
                json.dumps(figure) if args.json else f"{name:16} {label:16} {figure['value']} networks/s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
