"""ONNX Runtime: reads ONNX as it is, quantized or not."""

__all__ = ["OnnxRuntime"]

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runtimes.runtime import LoadedNetwork, installed_version
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_search_spaces.onnx_precision import onnx_precision

_KINDS = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """A ``Runtime``."""

    name = "onnxruntime"

    def version(self) -> str:
        return installed_version("onnxruntime", "host")

    def convert(self, path: Path) -> Path:
        return path

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            feed = {one.name: made_up_input(one.shape, _kind(one.type)) for one in session.get_inputs()}
            names = [session.get_outputs()[0].name]
            infer = partial(session.run, names, feed)
            output = infer()[0]
        except Exception as error:  # the runtime's errors share no other base class
            raise MeasureError(FaultKind.MODEL, f"ONNX Runtime refuses '{path.name}': {error}") from error

        def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
            result: NDArray[np.generic] = session.run(names, feed | {next(iter(feed)): values})[0]
            return result

        return LoadedNetwork(infer, output, evaluate, onnx_precision(path))


def _kind(text: str) -> np.dtype[np.generic]:
    """``tensor(float)`` as numpy's type; raises TypeError for what is no number."""
    name = text.removeprefix("tensor(").removesuffix(")")
    return np.dtype(_KINDS.get(name, name))
