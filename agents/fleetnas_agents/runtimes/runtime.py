"""What the worker needs of a runtime, and how any network is timed."""

__all__ = ["LoadedNetwork", "Runtime", "TimedNetwork", "installed_version", "run_for_profile"]

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.operator_times import OperatorTime
from fleetnas_latency.plan import RunTimes
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.operators import Precision

_PROFILE_S = 3.0
_PROFILE_RUNS = 50
_FEWEST_PROFILE_RUNS = 6


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """A network with its made-up input set, after one run.

    Attributes:
        infer: Runs it once on that input.
        output: The first output of the first run, channels first.
        evaluate: The first output for another first input, shape and type as in the ONNX file; for checks of what
            is computed, it is not timed.
    """

    infer: Callable[[], object]
    output: NDArray[np.generic]
    evaluate: Callable[[NDArray[np.generic]], NDArray[np.generic]]
    precision: Precision = Precision.FP32


class Runtime(Protocol):
    """``tests/contracts`` holds what every runtime promises."""

    name: str
    """As in ``Target.runtime``, e.g. ``"onnxruntime"``."""

    def version(self) -> str:
        """Raises FailedPreconditionError when it is not installed; the message says how to install it."""
        ...

    def convert(self, path: Path) -> Path:
        """The file that ``load`` reads, made from an ONNX file and put beside it; ``path`` itself where the
        runtime reads ONNX.

        Raises:
            MeasureError: The file cannot be converted.
        """
        ...

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        """Loads a converted file and runs it once.

        Args:
            thread_count: At 1 everything runs in the calling thread, so that its CPU time is the network's.

        Raises:
            MeasureError: The runtime refuses the file or fails at its first run.
        """
        ...

    def operator_times(
        self, path: Path, thread_count: int, alive: Callable[[], None]
    ) -> tuple[OperatorTime, ...]:
        """What each operator of an ONNX file takes, by the runtime's own profiler; empty where it tells nothing.

        Args:
            alive: Called now and then as a sign of life.

        Raises:
            MeasureError: As ``load``.
        """
        ...


class TimedNetwork:
    """A ``plan.Runner``."""

    def __init__(self, network: LoadedNetwork) -> None:
        self._infer = network.infer

    def run(self, count: int = 1) -> RunTimes:
        infer = self._infer
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(count):
            infer()
        cpu_ns = time.process_time_ns() - cpu_ns
        wall_ns = time.perf_counter_ns() - wall_ns
        return RunTimes(wall_ns / 1e6 / count, cpu_ns / 1e6 / count)


def run_for_profile(infer: Callable[[], object], alive: Callable[[], None]) -> int:
    """Runs what is profiled some fifty times, and less often where that takes over three seconds; how often."""
    end_s = time.perf_counter() + _PROFILE_S
    for count in range(1, _PROFILE_RUNS + 1):
        infer()
        alive()
        if count >= _FEWEST_PROFILE_RUNS and time.perf_counter() > end_s:
            return count
    return _PROFILE_RUNS


def installed_version(distribution: str, extra: str) -> str:
    """The version of an installed distribution.

    Args:
        extra: The extra of this package that brings it.

    Raises:
        FailedPreconditionError: It is not installed.
    """
    try:
        return version(distribution)
    except PackageNotFoundError as error:
        raise FailedPreconditionError(
            f"the runtime '{distribution}' is not installed here: pip install 'fleetnas[{extra}]'."
        ) from error
