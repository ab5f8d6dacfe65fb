"""ONNX Runtime: reads ONNX as it is, quantized or not."""

__all__ = ["OnnxRuntime"]

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runtimes.onnx_profile import node_times_ms
from fleetnas_agents.runtimes.runtime import LoadedNetwork, installed_version, run_for_profile
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_latency.operator_times import OperatorTime, operator_times
from fleetnas_search_spaces.onnx_precision import onnx_precision

_WARM_UP_RUNS = 3  # the first of them in the session's own first run
_KINDS = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """A ``Runtime``."""

    name = "onnxruntime"

    def version(self) -> str:
        return installed_version("onnxruntime", "host")

    def convert(self, path: Path) -> Path:
        return path

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        session, names, feed, output = _begun(path, _options(thread_count))

        def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
            result: NDArray[np.generic] = session.run(names, feed | {next(iter(feed)): values})[0]
            return result

        return LoadedNetwork(partial(session.run, names, feed), output, evaluate, onnx_precision(path))

    def operator_times(
        self, path: Path, thread_count: int, alive: Callable[[], None]
    ) -> tuple[OperatorTime, ...]:
        with tempfile.TemporaryDirectory() as folder:
            options = _options(thread_count)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session, names, feed, _ = _begun(path, options)
            run_for_profile(partial(session.run, names, feed), alive)
            written = Path(session.end_profiling()).read_text(encoding="utf-8")
        try:
            return operator_times(node_times_ms(json.loads(written), _WARM_UP_RUNS))
        except (KeyError, TypeError, ValueError):
            return ()  # a version of ONNX Runtime that writes another format


def _options(thread_count: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _begun(path: Path, options: Any) -> tuple[Any, list[str], dict[str, NDArray[np.generic]], Any]:
    """The session, the names of its outputs that are asked for, its input, and the first output of a first run."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {one.name: made_up_input(one.shape, _kind(one.type)) for one in session.get_inputs()}
        names = [session.get_outputs()[0].name]
        return session, names, feed, session.run(names, feed)[0]
    except Exception as error:  # the runtime's errors share no other base class
        raise MeasureError(FaultKind.MODEL, f"ONNX Runtime refuses '{path.name}': {error}") from error


def _kind(text: str) -> np.dtype[np.generic]:
    """``tensor(float)`` as numpy's type; raises TypeError for what is no number."""
    name = text.removeprefix("tensor(").removesuffix(")")
    return np.dtype(_KINDS.get(name, name))
