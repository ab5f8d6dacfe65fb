from random import Random

import numpy as np
import onnxruntime
import pytest
import torch

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.build import build_module, folded_weights, load_weights
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import NamedWeights, WeightPool, Weights

NAMES = ("nas-bench-macro", "mobilenet-v2", "mobilenet-v2-paper", "light-nas", "nas-bench-201", "fbnet")


@pytest.fixture(params=[(name, seed) for name in NAMES for seed in (1, 2)], ids=str)
def drawn(request: pytest.FixtureRequest) -> tuple[SearchSpace, Architecture]:
    name, seed = request.param
    found = space(name)
    return found, found.canonical(found.sample(Random(seed)))


def _images(shape: tuple[int, int, int], count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)


def _by_onnx(found: SearchSpace, architecture: Architecture, weights: Weights) -> np.ndarray:
    graph = found.graph(architecture)
    model = emit_onnx(graph, weights, key=architecture.key).model_bytes
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": _images(graph.input_shape)})[0])


def _worst_relative_difference(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left - right).max() / np.abs(right).max())


def test_module_and_onnx_agree_on_the_same_weights(drawn: tuple[SearchSpace, Architecture]) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    module = build_module(graph).eval()
    load_weights(module, graph, WeightPool(None))
    with torch.no_grad():
        output = module(torch.from_numpy(_images(graph.input_shape))).numpy()
    assert _worst_relative_difference(_by_onnx(found, architecture, WeightPool(None)), output) < 1e-4


def test_network_with_trained_batch_norms_is_exported_as_it_is(
    drawn: tuple[SearchSpace, Architecture],
) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    torch.manual_seed(0)
    module = build_module(graph)
    with torch.no_grad():
        module(torch.from_numpy(_images(graph.input_shape, 2)))  # moves the running figures
        module.eval()
        output = module(torch.from_numpy(_images(graph.input_shape))).numpy()
    weights = NamedWeights(folded_weights(module, graph))
    assert _worst_relative_difference(_by_onnx(found, architecture, weights), output) < 1e-4


def test_parameters_are_those_of_the_module(drawn: tuple[SearchSpace, Architecture]) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    assert sum(one.numel() for one in build_module(graph).parameters()) == params(graph)


def test_macs_are_those_torch_executes(drawn: tuple[SearchSpace, Architecture]) -> None:
    found, architecture = drawn
    graph = found.graph(architecture)
    executed: list[int] = []

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        executed.append(output.numel() * weight[0].numel())

    module = build_module(graph).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        module(torch.from_numpy(_images(graph.input_shape)))
    assert sum(executed) == macs(graph)


def test_cell_without_a_path_is_zeros_in_torch_and_in_onnx() -> None:
    found = space("nas-bench-201")
    architecture = found.parse("000000")
    graph = found.graph(architecture)
    module = build_module(graph).eval()
    load_weights(module, graph, WeightPool(None))
    with torch.no_grad():
        output = module(torch.from_numpy(_images(graph.input_shape))).numpy()
    assert _worst_relative_difference(_by_onnx(found, architecture, WeightPool(None)), output) < 1e-4
