"""An ONNX file that a user brings, checked before any device is asked."""

__all__ = ["UserNetwork", "read_network"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A model and the weight files it refers to.

    Attributes:
        entry: Name of the model among ``files``.
        files: By the path under which the model knows them.
    """

    entry: str
    files: tuple[tuple[str, Path], ...]

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for _, path in self.files)


def read_network(path: Path) -> UserNetwork:
    """Finds what belongs to an ONNX file.

    Raises:
        NotFoundError: The file or one of its weight files is not there.
        InvalidArgumentError: It is no ONNX, or has an input whose size is open.
    """
    import onnx

    if not path.is_file():
        raise NotFoundError(f"no file '{path}'. Check the path; it has to be an ONNX file.")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, and onnx's for some contents
        raise InvalidArgumentError(f"{_no_onnx(path)} ({type(error).__name__}).") from error
    if not model.graph.node:
        raise InvalidArgumentError(f"{_no_onnx(path)} (it has no operators).")
    _check_inputs(path, model.graph)
    weights = [(name, _weight_file(path, name)) for name in sorted(set(_locations(model)))]
    return UserNetwork(path.name, ((path.name, path), *weights))


def _no_onnx(path: Path) -> str:
    return f"'{path}' is no ONNX file: export one, e.g. with torch.onnx.export"


def _check_inputs(path: Path, graph: Any) -> None:
    constants = {one.name for one in graph.initializer}
    for one in graph.input:
        if one.name in constants:
            continue
        sizes = [size.dim_value or size.dim_param or "?" for size in one.type.tensor_type.shape.dim]
        if any(isinstance(size, str) for size in sizes):
            shape = ", ".join(map(str, sizes))
            raise InvalidArgumentError(
                f"input '{one.name}' of '{path}' has the open shape ({shape}), whose latency is undefined: export "
                "with fixed sizes, or fix them by python -m onnxruntime.tools.make_dynamic_shape_fixed."
            )


def _locations(model: Any) -> Iterator[str]:
    """Paths of weight files, as the model gives them."""
    tensors = [*model.graph.initializer]
    tensors += [one.t for node in model.graph.node for one in node.attribute if one.HasField("t")]
    for tensor in tensors:
        for entry in tensor.external_data:
            if entry.key == "location":
                yield entry.value


def _weight_file(path: Path, name: str) -> Path:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InvalidArgumentError(
            f"'{path}' keeps weights in '{name}', which is not beside it: save it again with its weights inside."
        )
    file = path.parent / name
    if not file.is_file():
        raise NotFoundError(
            f"'{path}' keeps weights in '{file}', which is not there: put it beside the model."
        )
    return file
