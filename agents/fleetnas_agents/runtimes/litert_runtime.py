"""LiteRT, formerly TensorFlow Lite, on the CPU with its XNNPACK delegate."""

__all__ = ["LiteRtRuntime"]

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runtimes.onnx_file import check_fp32
from fleetnas_agents.runtimes.runtime import LoadedNetwork, installed_version
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_latency.operator_times import OperatorTime
from fleetnas_search_spaces.errors import InvalidArgumentError


class LiteRtRuntime:
    """A ``Runtime``. Images lie channels last, so 4-D inputs and outputs are transposed."""

    name = "litert"

    def version(self) -> str:
        installed_version("onnx", "litert")
        return installed_version("ai-edge-litert", "litert")

    def convert(self, path: Path) -> Path:
        from fleetnas_agents.runtimes.litert_convert import tflite_of_onnx

        check_fp32(path, "LiteRT")
        made = path.with_suffix(".tflite")
        try:
            made.write_bytes(tflite_of_onnx(path))
        except InvalidArgumentError as error:
            raise MeasureError(FaultKind.MODEL, str(error)) from error
        return made

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_path=str(path), num_threads=thread_count)
            interpreter.allocate_tensors()
            for one in interpreter.get_input_details():
                interpreter.set_tensor(one["index"], _noise(one))
            interpreter.invoke()
        except Exception as error:  # the runtime's errors share no other base class
            raise MeasureError(FaultKind.MODEL, f"LiteRT refuses '{path.name}': {error}") from error

        def output() -> NDArray[np.generic]:
            values: NDArray[np.generic] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

        def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
            last = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], last)
            interpreter.invoke()
            return output()

        return LoadedNetwork(interpreter.invoke, output(), evaluate)

    def operator_times(
        self, path: Path, thread_count: int, alive: Callable[[], None]
    ) -> tuple[OperatorTime, ...]:
        return ()  # its Python interface has no profiler


def _noise(details: "dict[str, object]") -> NDArray[np.generic]:
    """The same numbers at the same pixels as every other runtime gets."""
    shape: tuple[int, ...] = tuple(map(int, details["shape"]))  # type: ignore[call-overload]
    kind: np.dtype[np.generic] = np.dtype(details["dtype"])  # type: ignore[call-overload]
    if len(shape) != 4:
        return made_up_input(shape, kind)
    batch, height, width, channels = shape
    return made_up_input((batch, channels, height, width), kind).transpose(0, 2, 3, 1)
