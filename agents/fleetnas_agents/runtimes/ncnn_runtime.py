"""ncnn, the runtime of phones and boards, in its Python package; pnnx converts ONNX for it."""

__all__ = ["NcnnRuntime"]

import re
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runtimes.onnx_file import check_fp32
from fleetnas_agents.runtimes.runtime import LoadedNetwork, installed_version
from fleetnas_agents.runtimes.whole_onnx import whole_onnx
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_latency.operator_times import OperatorTime
from fleetnas_search_spaces.errors import InvalidArgumentError

_CONVERSION_S = 300.0
_INPUT = re.compile(r"^pnnx\.Input\s+(\S+) .*#\d+=\(([\d,]+)\)f32", re.MULTILINE)


class NcnnRuntime:
    """A ``Runtime``. Weights and arithmetic are of 32 bits, which ncnn would halve by default."""

    name = "ncnn"

    def version(self) -> str:
        _converter()
        installed_version("onnx", "ncnn")
        return installed_version("ncnn", "ncnn")

    def convert(self, path: Path) -> Path:
        """``NAME.ncnn.param``, with its weights and ``NAME.pnnx.param`` (shapes) beside it."""
        check_fp32(path, "ncnn")
        whole = _with_weights_inside(path)
        made = path.with_suffix(".ncnn.param")
        # Named one by one, since pnnx changes names that no Python module could bear.
        names = {"ncnnparam": made.name, "ncnnbin": made.with_suffix(".bin").name}
        names["pnnxparam"] = path.with_suffix(".pnnx.param").name
        command = [str(_converter()), whole.name, "fp16=0", *(f"{key}={name}" for key, name in names.items())]
        try:
            said = subprocess.run(
                command, cwd=path.parent, capture_output=True, timeout=_CONVERSION_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise MeasureError(
                FaultKind.MODEL, f"pnnx did not convert '{path.name}' in {_CONVERSION_S:g} s."
            ) from error
        if said.returncode != 0 or not made.is_file():
            words = (said.stderr or said.stdout).decode(errors="replace").strip().splitlines()
            raise MeasureError(
                FaultKind.MODEL,
                f"pnnx cannot convert '{path.name}' for ncnn (exit code {said.returncode}): "
                f"{words[-1] if words else 'it says nothing'}",
            )
        return made

    def load(self, path: Path, thread_count: int) -> LoadedNetwork:
        import ncnn

        net = ncnn.Net()
        net.opt.use_vulkan_compute = False
        net.opt.num_threads = thread_count
        for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{option}", False)
        if net.load_param(str(path)) != 0 or net.load_model(str(path.with_suffix(".bin"))) != 0:
            raise MeasureError(
                FaultKind.MODEL, f"ncnn refuses '{path.name}', which pnnx made of the ONNX file."
            )
        inputs = [ncnn.Mat(noise).clone() for noise in _inputs(path)]

        def run(mats: "list[ncnn.Mat]") -> NDArray[np.generic]:
            with net.create_extractor() as extractor:
                for index, mat in enumerate(mats):
                    extractor.input(f"in{index}", mat)
                code, output = extractor.extract("out0")
                if code != 0:
                    raise MeasureError(FaultKind.MODEL, f"ncnn cannot run '{path.name}' (code {code}).")
                return np.array(output)

        def evaluate(values: NDArray[np.generic]) -> NDArray[np.generic]:
            return run([ncnn.Mat(np.ascontiguousarray(values[0])).clone(), *inputs[1:]])

        return LoadedNetwork(partial(run, inputs), run(inputs), evaluate)

    def operator_times(
        self, path: Path, thread_count: int, alive: Callable[[], None]
    ) -> tuple[OperatorTime, ...]:
        return ()  # the wheel is built without ncnn's benchmark of layers


def _inputs(path: Path) -> Sequence[NDArray[np.generic]]:
    """One array for each input, without the batch that ncnn does not know."""
    graph = Path(str(path).removesuffix(".ncnn.param") + ".pnnx.param").read_text(encoding="utf-8")
    shapes = [tuple(map(int, one[2].split(","))) for one in _INPUT.finditer(graph)]
    if not shapes or any(shape[0] != 1 for shape in shapes):
        raise MeasureError(
            FaultKind.MODEL, f"'{path.name}' has inputs of shape {shapes}; ncnn takes fp32 at batch 1."
        )
    return [made_up_input(shape, np.dtype(np.float32))[0] for shape in shapes]


def _with_weights_inside(path: Path) -> Path:
    """A copy of the model that refers to no other file.

    pnnx 20261020 reads weights from files beside the model wrongly and says nothing (seen: 463 of 2.9 million
    became NaN).

    Raises:
        MeasureError: It is no ONNX file, or a weight file is missing.
    """
    whole = path.with_name(f"{path.stem}-whole.onnx")
    try:
        whole.write_bytes(whole_onnx(path).SerializeToString())
    except InvalidArgumentError as error:
        raise MeasureError(FaultKind.MODEL, str(error)) from error
    return whole


def _converter() -> Path:
    """pnnx's own program, which its package starts too.

    Raises:
        FailedPreconditionError: It is not installed.
    """
    installed_version("pnnx", "ncnn")
    found = find_spec("pnnx")
    assert found is not None  # its distribution is there
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "pnnx"
