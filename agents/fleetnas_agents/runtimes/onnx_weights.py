"""An ONNX model with the weights that lie in files beside it."""

__all__ = ["load_whole"]

from pathlib import Path
from typing import Any

from fleetnas_search_spaces.errors import InvalidArgumentError


def load_whole(path: Path) -> Any:
    """The model (``onnx.ModelProto``), referring to no other file.

    ``onnx.load`` (1.23) refuses weight files with several hard links, and that is what an agent's are: the cache
    and the job share them.

    Raises:
        InvalidArgumentError: It is no ONNX file, or a weight file is missing, too short or elsewhere.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        for tensor in model.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _take_in(tensor, path.parent)
    except InvalidArgumentError:
        raise
    except Exception as error:  # protobuf's, onnx's and the file system's
        raise InvalidArgumentError(f"'{path.name}' cannot be read as ONNX: {error}") from error
    return model


def _take_in(tensor: Any, folder: Path) -> None:
    entries = {one.key: one.value for one in tensor.external_data}
    place = (folder / entries["location"]).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise InvalidArgumentError(f"the weights of '{tensor.name}' lie outside the model's folder.")
    offset, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
    with place.open("rb") as file:
        file.seek(offset)
        content = file.read(length)
    if 0 <= length != len(content):
        raise InvalidArgumentError(
            f"'{place.name}' ends {length - len(content)} bytes before the weights of '{tensor.name}' do."
        )
    tensor.raw_data = content
    tensor.data_location = 0
    del tensor.external_data[:]
