"""Networks for ncnn, run in ncnn's own package."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetnas_search_spaces.emit_ncnn import INPUT_BLOB, OUTPUT_BLOB, NcnnModel


def stream(model: NcnnModel) -> bytes:
    """The weight stream that a ``.weights`` text describes."""
    paths = {one.name: one.path for one in model.weight_files}
    lines = [line for line in model.weights_text.splitlines()[1:] if not line.startswith("#")]
    return b"".join(_part(paths, *line.split()) for line in lines)


def _part(paths: dict[str, Path], name: str, *rest: str) -> bytes:
    if name == "float32":
        return bytes(4)
    if name == "values":
        return np.array(rest, "<f4").tobytes()
    return paths[name].read_bytes()[: int(rest[0])]


@pytest.fixture
def run_ncnn(tmp_path: Path) -> Callable[[NcnnModel, NDArray[np.float32]], NDArray[np.float32]]:
    """Gives a network's output for one image."""
    ncnn = pytest.importorskip(
        "ncnn", reason="the package ncnn is not installed: pip install 'fleetnas[ncnn]'"
    )

    def run(model: NcnnModel, values: NDArray[np.float32]) -> NDArray[np.float32]:
        network = ncnn.Net()
        network.opt.num_threads = 1
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(network.opt, name, False)
        assert network.load_param_mem(model.param_text) == 0
        (tmp_path / "net.bin").write_bytes(model.bin_bytes or stream(model))
        assert network.load_model(str(tmp_path / "net.bin")) == 0
        extractor = network.create_extractor()
        extractor.input(INPUT_BLOB, ncnn.Mat(values).clone())
        status, output = extractor.extract(OUTPUT_BLOB)
        assert status == 0
        return np.array(output).ravel()

    return run


@pytest.fixture(name="stream")
def _stream() -> Callable[[NcnnModel], bytes]:
    return stream
