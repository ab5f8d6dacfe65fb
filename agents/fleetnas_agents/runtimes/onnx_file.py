"""What a runtime that is given fp32 files has to know of an ONNX file."""

__all__ = ["check_fp32"]

from pathlib import Path

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_search_spaces.onnx_precision import onnx_precision
from fleetnas_search_spaces.operators import Precision


def check_fp32(path: Path, runtime: str) -> None:
    """Raises MeasureError for a file of another type, which ``runtime`` is not given here."""
    precision = onnx_precision(path)
    if precision is not Precision.FP32:
        raise MeasureError(
            FaultKind.MODEL,
            f"'{path.name}' has {precision} weights and {runtime} is given fp32 here: measure the fp32 file, or take "
            "--runtime onnxruntime.",
        )
