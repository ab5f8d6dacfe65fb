import os
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest

from fleetnas_agents.runtimes.whole_onnx import whole_onnx
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.weights import WeightPool


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose weight files share their content with a cache, as in an agent's job folder."""
    space, (cache, job) = NASBenchMacro(), (tmp_path / "cache", tmp_path / "job")
    job.mkdir()
    drawn = space.sample(Random(1))
    emitted = emit_onnx(space.graph(drawn), WeightPool(cache), key=drawn.key, external=True)
    for one in emitted.weight_files:
        os.link(one.path, job / one.name)
    (job / "net.onnx").write_bytes(emitted.model_bytes)
    return job / "net.onnx"


def test_weights_beside_the_model_come_in(model: Path) -> None:
    whole = whole_onnx(model)
    onnx.checker.check_model(whole, full_check=True)
    pool = WeightPool(None)
    for tensor in whole.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if tensor.name.endswith("conv.weight"):
            fan_in = int(np.prod(values.shape[1:]))
            assert np.array_equal(values, pool.array(tensor.name, values.shape, fan_in))


def test_missing_and_short_weight_files_are_named(model: Path) -> None:
    largest = max(model.parent.glob("*.f32"), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    largest.unlink()
    with pytest.raises(InvalidArgumentError, match=r"net\.onnx.*No such file"):
        whole_onnx(model)
    largest.write_bytes(content[:100])
    with pytest.raises(InvalidArgumentError, match="has 100 bytes, it needs"):
        whole_onnx(model)


def test_weights_outside_the_folder_are_refused(model: Path) -> None:
    loaded = onnx.load(str(model), load_external_data=False)
    tensor = next(one for one in loaded.graph.initializer if one.external_data)
    tensor.external_data[0].value = "../cache/secret.f32"
    model.write_bytes(loaded.SerializeToString())
    with pytest.raises(InvalidArgumentError, match="outside"):
        whole_onnx(model)


def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidArgumentError, match=r"'net\.onnx' cannot be read as ONNX"):
        whole_onnx(tmp_path / "net.onnx")
