"""What a network of any origin is fed with."""

__all__ = ["check_inputs", "close_batches"]

from pathlib import Path
from typing import Any

from fleetnas_search_spaces.errors import InvalidArgumentError

_CURE = (
    "export with fixed sizes above zero, or fix them by python -m onnxruntime.tools.make_dynamic_shape_fixed."
)


def check_inputs(path: Path, graph: Any) -> None:
    """Raises InvalidArgumentError where an input has a size that is open or none, so that its latency means nothing.

    Args:
        graph: An ``onnx.GraphProto``; its constants may be listed among its inputs.
    """
    for one in _fed(graph):
        if not one.type.tensor_type.HasField("shape"):
            raise InvalidArgumentError(f"input '{one.name}' of '{path}' has no shape: {_CURE}")
        sizes = [_size(size) for size in one.type.tensor_type.shape.dim]
        shape = ", ".join(map(str, sizes))
        if any(isinstance(size, str) for size in sizes):
            raise InvalidArgumentError(
                f"input '{one.name}' of '{path}' has the open shape ({shape}), whose latency is undefined: {_CURE}"
            )
        if any(isinstance(size, int) and size <= 0 for size in sizes):
            raise InvalidArgumentError(f"input '{one.name}' of '{path}' has the shape ({shape}): {_CURE}")


def close_batches(graph: Any) -> tuple[str, ...]:
    """Makes an open first size of an input that has others a 1, as exporters leave it open; names those inputs."""
    closed = []
    for one in _fed(graph):
        sizes = one.type.tensor_type.shape.dim
        if len(sizes) > 1 and isinstance(_size(sizes[0]), str):
            sizes[0].dim_value = 1
            closed.append(str(one.name))
    return tuple(closed)


def _fed(graph: Any) -> list[Any]:
    constants = {one.name for one in graph.initializer}
    return [one for one in graph.input if one.name not in constants]


def _size(size: Any) -> int | str:
    return int(size.dim_value) if size.HasField("dim_value") else str(size.dim_param or "?")
