"""OpenVINO on the CPU: reads ONNX as it is, quantized or not."""

__all__ = ["OpenVinoRuntime"]

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runtimes.runtime import LoadedNetwork, installed_version, run_for_profile
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_latency.operator_times import OperatorTime, operator_times
from fleetnas_search_spaces.onnx_precision import onnx_precision


class OpenVinoRuntime:
    """A ``Runtime``. Floats are computed in 32 bits, whatever the CPU would rather do."""

    name = "openvino"

    def version(self) -> str:
        return installed_version("openvino", "openvino")

    def convert(self, path: Path) -> Path:
        return path

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        request = _begun(path, thread_count)
        output = request.get_output_tensor(0).data.copy()

        def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
            request.infer({0: values})
            result: NDArray[np.generic] = request.get_output_tensor(0).data.copy()
            return result

        return LoadedNetwork(request.infer, output, evaluate, onnx_precision(path))

    def operator_times(
        self, path: Path, thread_count: int, alive: Callable[[], None]
    ) -> tuple[OperatorTime, ...]:
        request = _begun(path, thread_count, PERF_COUNT="YES")
        found: dict[tuple[str, str], list[float]] = {}

        def infer() -> None:
            request.infer()
            for one in request.profiling_info:
                ms = one.real_time.total_seconds() * 1e3
                found.setdefault((one.node_name, one.node_type), []).append(ms)

        run_for_profile(infer, alive)
        # Nodes that were folded into others took no time of their own.
        return operator_times({names: runs for names, runs in found.items() if any(runs)})


def _begun(path: Path, thread_count: int, **more: str) -> Any:
    """A request with its input, after a first run."""
    os.environ.setdefault("OPENVINO_TELEMETRY_CONSENT", "0")
    import openvino

    options = {
        "INFERENCE_NUM_THREADS": str(thread_count),
        "NUM_STREAMS": "1",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        request = openvino.Core().compile_model(str(path), "CPU", options | more).create_infer_request()
        for port in request.model_inputs:
            noise = made_up_input(tuple(port.shape), port.element_type.to_dtype())
            request.set_tensor(port, openvino.Tensor(noise))
        request.infer()
    except Exception as error:  # the runtime's errors share no other base class
        raise MeasureError(FaultKind.MODEL, f"OpenVINO refuses '{path.name}': {error}") from error
    return request
