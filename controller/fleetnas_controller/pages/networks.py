"""What a page has to know of an ONNX file that it cannot read itself: its inputs, and the number type."""

__all__ = ["NetworkFacts", "NetworkInput", "network_facts"]

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fleetnas_latency.made_up_input import made_up_input
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.onnx_precision import onnx_precision
from fleetnas_search_spaces.operators import Precision

_TYPES = ("float32", "float64", "int8", "uint8", "int32", "int64")
_MAX_INPUT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """One input; a dimension without a size counts as 1.

    Attributes:
        kind: Of its numbers, e.g. ``"float32"``.
    """

    name: str
    kind: str
    dims: tuple[int, ...]

    def content(self) -> bytes:
        """The made-up values that every runtime of the fleet gets, little-endian."""
        return made_up_input(self.dims, np.dtype(self.kind).newbyteorder("<")).tobytes()


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What the page asks for before it loads the file."""

    inputs: tuple[NetworkInput, ...]
    precision: Precision


@lru_cache(maxsize=256)
def network_facts(path: Path) -> NetworkFacts:
    """Of a stored file, whose content never changes.

    Raises:
        InvalidArgumentError: It is no ONNX, or has an input that cannot be made up.
    """
    import onnx

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # the parser's errors share no other base class
        raise InvalidArgumentError(f"file {path.name[:12]} is no ONNX: pages run nothing else.") from error
    weights = {one.name for one in graph.initializer}
    inputs = tuple(_input(one) for one in graph.input if one.name not in weights)
    return NetworkFacts(inputs, onnx_precision(path))


def _input(value: Any) -> NetworkInput:
    import onnx

    tensor = value.type.tensor_type
    dims = tuple(int(one.dim_value) or 1 for one in tensor.shape.dim)
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    except KeyError:
        kind = np.dtype(object)
    if kind.name not in _TYPES:
        raise InvalidArgumentError(
            f"input '{value.name}' is of type {kind.name}, and pages know {', '.join(_TYPES)}: export another."
        )
    if np.prod(dims, dtype=np.float64) * kind.itemsize > _MAX_INPUT_BYTES:
        raise InvalidArgumentError(
            f"input '{value.name}' has {dims} numbers, more than a page can hold: export a smaller one."
        )
    return NetworkInput(value.name, kind.name, dims)
