"""One network as the files that other programs load: ONNX, or ncnn's pair."""

__all__ = ["NetworkFormat", "export_paths", "read_weights", "write_network"]

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fleetnas_controller.storage import storage_errors
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.weights import NamedWeights, Weights
from fleetnas_search_spaces.whole_files import written_aside


class NetworkFormat(StrEnum):
    ONNX = "onnx"
    NCNN = "ncnn"


# The file that is named to whoever loads the network comes first.
_ENDINGS: Mapping[NetworkFormat, tuple[str, ...]] = MappingProxyType(
    {NetworkFormat.ONNX: (".onnx",), NetworkFormat.NCNN: (".param", ".bin")}
)
_BY_ENDING = {ending: one for one, endings in _ENDINGS.items() for ending in endings}


def export_paths(
    out: Path, wanted: NetworkFormat | None, *, force: bool
) -> tuple[NetworkFormat, tuple[Path, ...]]:
    """Which files are to be written.

    Args:
        out: With a format's ending or without.
        wanted: None: the one that ``out`` ends in.
        force: They may be there already.

    Raises:
        InvalidArgumentError: ``out`` names no file, no format, or another format.
        NotFoundError: There is no such folder.
        AlreadyExistsError: One of them is there.
    """
    if not out.name or out.is_dir():
        raise InvalidArgumentError(f"'{out}' is a folder: name a file in it with --out.")
    if not out.parent.is_dir():
        raise NotFoundError(f"no folder '{out.parent}' for '{out.name}': make it first.")
    told = _BY_ENDING.get(out.suffix)
    found = wanted or told
    if found is None:
        raise InvalidArgumentError(f"'{out}' tells no format: end it in .onnx or .param, or give --format.")
    if told not in (None, found):
        raise InvalidArgumentError(
            f"'{out}' is a name for {told} and --format is {found}: end it in {_ENDINGS[found][0]}."
        )
    stem = out.name.removesuffix(out.suffix) if told else out.name
    paths = tuple(out.with_name(f"{stem}{ending}") for ending in _ENDINGS[found])
    for path in paths:
        if path.is_dir():
            raise InvalidArgumentError(f"'{path}' is a folder: name another file with --out.")
        if path.exists() and not force:
            raise AlreadyExistsError(
                f"'{path}' exists already: name another file with --out, or replace it with --force."
            )
    return found, paths


def read_weights(path: Path) -> NamedWeights:
    """Trained tensors from an ``.npz`` file, by the names that ``build.folded_weights`` gives them.

    Raises:
        InvalidArgumentError: It is no such file.
        As ``storage_errors``.
    """
    try:
        with storage_errors(path), np.load(path, allow_pickle=False) as stored:
            return NamedWeights({name: stored[name].astype(np.float32) for name in stored.files})
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidArgumentError(
            f"'{path}' is no .npz of arrays: write one with numpy.savez, batch normalisation folded in."
        ) from error


def write_network(
    graph: Graph,
    weights: Weights,
    paths: Sequence[Path],
    *,
    key: str,
    trained: bool,
    input_ranges: Mapping[str, float] | None = None,
) -> None:
    """Writes the files whole or not at all, whenever it is killed.

    Args:
        paths: As ``export_paths`` gives them.
        input_ranges: See ``emit_ncnn``; None: fp32.

    Raises:
        FailedPreconditionError: A package is missing.
        As ``emit_ncnn`` and ``storage_errors``.
    """
    contents = _contents(graph, weights, _BY_ENDING[paths[0].suffix], key, trained, input_ranges)
    with storage_errors(paths[0]), ExitStack() as stack:
        aside = [
            stack.enter_context(written_aside(path, content))
            for path, content in zip(paths, contents, strict=True)
        ]
        if len(paths) > 1:
            # What is loaded goes first and comes last: it never stands beside another network's weights.
            paths[0].unlink(missing_ok=True)
        for partial, path in reversed(list(zip(aside, paths, strict=True))):
            partial.replace(path)


def _contents(
    graph: Graph,
    weights: Weights,
    wanted: NetworkFormat,
    key: str,
    trained: bool,
    input_ranges: Mapping[str, float] | None,
) -> tuple[bytes, ...]:
    if wanted is NetworkFormat.NCNN:
        from fleetnas_search_spaces.emit_ncnn import emit_ncnn

        network = emit_ncnn(graph, weights, key=key, input_ranges=input_ranges)
        return network.param_text.encode(), network.bin_bytes
    try:
        from fleetnas_search_spaces.emit_onnx import emit_onnx
    except ImportError as error:
        raise FailedPreconditionError(
            "writing ONNX needs the package 'onnx': pip install 'fleetnas[search]'."
        ) from error
    return (emit_onnx(graph, weights, key=key, trained=trained).model_bytes,)
