from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool


@pytest.fixture(params=["nas-bench-macro", "mobilenet-v2", "light-nas", "nas-bench-201", "fbnet"])
def drawn(request: pytest.FixtureRequest) -> tuple[SearchSpace, Architecture]:
    found = space(request.param)
    return found, found.canonical(found.sample(Random(3)))


def _run(model: str | bytes, shape: tuple[int, ...]) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feed = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    return np.asarray(session.run(None, {"input": feed})[0])


def test_emitted_network_is_valid_and_neither_vanishes_nor_overflows(
    drawn: tuple[SearchSpace, Architecture],
) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    content = emit_onnx(graph, WeightPool(None), key=architecture.key).model_bytes
    onnx.checker.check_model(onnx.load_from_string(content))
    output = _run(content, graph.input_shape)
    assert np.isfinite(output).all()
    # Fifteen cells of sums without a trained normalisation grow to 1e9; float32 ends at 1e38.
    assert 1e-6 < np.abs(output).max() < 1e12


def test_external_weights_give_the_same_output_as_weights_inside(
    drawn: tuple[SearchSpace, Architecture], tmp_path: Path
) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    pool = WeightPool(tmp_path)
    inside = emit_onnx(graph, pool, key=architecture.key)
    outside = emit_onnx(graph, pool, key=architecture.key, external=True)
    (tmp_path / "model.onnx").write_bytes(outside.model_bytes)
    assert len(outside.model_bytes) < 100_000 < len(inside.model_bytes)
    assert {one.path.parent for one in outside.weight_files} == {tmp_path}
    expected = _run(inside.model_bytes, graph.input_shape)
    assert np.array_equal(_run(str(tmp_path / "model.onnx"), graph.input_shape), expected)


def test_same_architecture_gives_the_same_bytes(drawn: tuple[SearchSpace, Architecture]) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    twice = [emit_onnx(graph, WeightPool(None), key=architecture.key).model_bytes for _ in range(2)]
    assert twice[0] == twice[1]
