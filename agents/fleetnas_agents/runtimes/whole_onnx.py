"""An ONNX model with all its weights inside, for converters that do not read them from files beside it."""

__all__ = ["whole_onnx"]

from pathlib import Path
from typing import Any

from fleetnas_search_spaces.errors import InvalidArgumentError


def whole_onnx(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file.

    The onnx package itself refuses weight files with more than one link, which is what an agent's cache gives its
    jobs; the files were checked against their SHA-256 before.

    Raises:
        InvalidArgumentError: It is no ONNX file, or a weight file is missing or too short.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise InvalidArgumentError("it has no operators")
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _take_in(tensor, path.parent)
    except Exception as error:  # protobuf's, onnx's and the file system's
        raise InvalidArgumentError(
            f"'{path.name}' cannot be read as ONNX with its weights: {' '.join(str(error).split())}"
        ) from error
    return model


def _take_in(tensor: Any, folder: Path) -> None:
    entries = {one.key: one.value for one in tensor.external_data}
    file = (folder / entries["location"]).absolute()
    if not file.is_relative_to(folder.absolute()) or ".." in file.parts:
        raise InvalidArgumentError(f"its weights lie in '{entries['location']}', outside its folder")
    content = file.read_bytes()
    begin = int(entries.get("offset", 0))
    length = int(entries.get("length", len(content) - begin))
    if begin + length > len(content):
        raise InvalidArgumentError(f"'{file.name}' has {len(content)} bytes, it needs {begin + length}")
    tensor.raw_data = content[begin : begin + length]
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
