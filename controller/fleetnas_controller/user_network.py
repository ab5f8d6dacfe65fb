"""A network that a user brings as a file, checked before any device is asked."""

__all__ = ["UserNetwork", "check_runs_on", "read_network"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fleetnas_controller.jobs import Device
from fleetnas_controller.network_files import NATIVE_KINDS
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.onnx_inputs import check_inputs

_NCNN = ".param"


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

    @property
    def is_ncnn(self) -> bool:
        return self.entry.endswith(_NCNN)


def read_network(path: Path) -> UserNetwork:
    """Finds what belongs to an ONNX file, or to an ncnn network (``NAME.param``).

    Raises:
        NotFoundError: The file or one of its weight files is not there.
        InvalidArgumentError: It is no ONNX, or has an input whose size is open.
    """
    return _ncnn_network(path) if path.name.endswith(_NCNN) else _onnx_network(path)


def check_runs_on(device: Device, networks: Sequence[UserNetwork]) -> None:
    """Raises InvalidArgumentError where the device loads another kind of file."""
    native = device.kind in NATIVE_KINDS
    for one in networks:
        if one.is_ncnn is not native:
            wanted = "ncnn networks: give NAME.param with NAME.bin beside it" if native else "ONNX files"
            raise InvalidArgumentError(
                f"'{one.files[0][1]}' is none that '{device.device_id}' ({device.kind}) loads; it takes {wanted}."
            )


def _ncnn_network(path: Path) -> UserNetwork:
    weights = path.with_suffix(".weights")
    if not weights.is_file():
        weights = path.with_suffix(".bin")
    for one, what in ((path, "it has to be an ncnn network"), (weights, "ncnn's weights belong beside it")):
        if not one.is_file():
            raise NotFoundError(f"no file '{one}'. Check the path; {what}.")
    files = [(path.name, path), (weights.name, weights)]
    if weights.suffix == ".weights":
        lines = weights.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
        names = sorted(
            {line.split()[0] for line in lines if line.split() and line.split()[0].endswith(".f32")}
        )
        files += [(name, _weight_file(path, name)) for name in names]
    return UserNetwork(path.name, tuple(files))


def _onnx_network(path: Path) -> UserNetwork:
    import onnx

    if not path.is_file():
        raise NotFoundError(f"no file '{path}'. Check the path; it has to be an ONNX file.")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, and onnx's for some contents
        raise InvalidArgumentError(f"{_no_onnx(path)} ({type(error).__name__}).") from error
    if not model.graph.node:
        raise InvalidArgumentError(f"{_no_onnx(path)} (it has no operators).")
    check_inputs(path, model.graph)
    weights = [(name, _weight_file(path, name)) for name in sorted(set(_locations(model)))]
    return UserNetwork(path.name, ((path.name, path), *weights))


def _no_onnx(path: Path) -> str:
    return f"'{path}' is no ONNX file: export one, e.g. with torch.onnx.export"


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
