"""One ONNX network, loaded in ONNX Runtime on a fixed input."""

__all__ = ["OnnxRunner", "runtime_version"]

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_latency.plan import RunTimes
from fleetnas_search_spaces.errors import FailedPreconditionError

_INPUT_SEED = 0


def runtime_version() -> str:
    """Version of the installed ONNX Runtime.

    Raises:
        FailedPreconditionError: There is none.
    """
    try:
        return version("onnxruntime")
    except PackageNotFoundError as error:
        raise FailedPreconditionError(
            "the host driver runs networks in ONNX Runtime, which is not installed: pip install 'fleetnas[host]'."
        ) from error


class OnnxRunner:
    """A ``Runner``. Loads at construction.

    Args:
        thread_count: At 1 everything runs in the calling thread, so that its CPU time is the network's.

    Raises:
        MeasureError: The runtime refuses the file or fails at its first run.
    """

    def __init__(self, path: Path, thread_count: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            self._feed = {one.name: _input(one.shape, one.type) for one in self._session.get_inputs()}
            self._names = [self._session.get_outputs()[0].name]
            self.output: NDArray[np.float32] = self._session.run(self._names, self._feed)[0]
        except Exception as error:  # the runtime's errors share no other base class
            raise MeasureError(FaultKind.MODEL, f"ONNX Runtime refuses '{path.name}': {error}") from error

    def run(self, inner_count: int = 1) -> RunTimes:
        run, names, feed = self._session.run, self._names, self._feed
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(inner_count):
            run(names, feed)
        cpu_ns = time.process_time_ns() - cpu_ns
        wall_ns = time.perf_counter_ns() - wall_ns
        return RunTimes(wall_ns / 1e6 / inner_count, cpu_ns / 1e6 / inner_count)


def _input(shape: list[int | str | None], kind: str) -> NDArray[np.generic]:
    """Seeded noise; a dimension without a size counts as 1."""
    sizes = [one if isinstance(one, int) and one > 0 else 1 for one in shape]
    noise = np.random.default_rng(_INPUT_SEED).standard_normal(sizes)
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
    if kind in kinds:
        return noise.astype(kinds[kind])
    if kind in ("tensor(uint8)", "tensor(int8)", "tensor(int32)", "tensor(int64)"):
        return (np.abs(noise) * 10).astype(kind[7:-1])
    raise TypeError(f"its input is a {kind}, which cannot be made up")
