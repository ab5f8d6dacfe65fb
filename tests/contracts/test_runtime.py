"""What every runtime of the host promises; those that are not installed are left out."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from fleetnas_agents.jobs import MeasureError
from fleetnas_agents.runtimes.registry import RUNTIME_NAMES, installed_runtimes, runtime_of
from fleetnas_agents.runtimes.runtime import Runtime, TimedNetwork
from fleetnas_latency.made_up_input import made_up_input
from fleetnas_search_spaces.build import build_module, load_weights
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.operators import Precision
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool


@dataclass(frozen=True)
class Network:
    """A network as a file, and what torch makes of the input that runtimes are given."""

    path: Path
    torch_output: Any


@pytest.fixture(scope="module", params=["nas-bench-macro", "mobilenet-v2", "light-nas"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Its weights lie in files beside it, as those of a search do."""
    found = space(request.param)
    graph = found.graph(found.canonical(found.sample(Random(5))))
    folder = tmp_path_factory.mktemp("network")
    model = emit_onnx(graph, WeightPool(folder), key="drawn", external=True)
    (folder / "net.onnx").write_bytes(model.model_bytes)
    (folder / "cache").mkdir()
    for one in model.weight_files:
        (folder / "cache" / one.name).hardlink_to(folder / one.name)  # as an agent's cache does
    module = build_module(graph).eval()
    load_weights(module, graph, WeightPool(folder))
    noise = made_up_input((1, *graph.input_shape), np.dtype(np.float32))
    with torch.no_grad():
        output = module(torch.from_numpy(noise)).numpy()
    return Network(folder / "net.onnx", output)


@pytest.fixture(scope="module", params=RUNTIME_NAMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param not in installed_runtimes():
        pytest.skip(f"{request.param} is not installed")
    return runtime_of(request.param)


def _saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_output_is_that_of_torch(runtime: Runtime, network: Network) -> None:
    loaded = runtime.load(runtime.convert(network.path), 1)
    output, wanted = np.asarray(loaded.output).ravel(), network.torch_output.ravel()
    assert np.abs(output - wanted).max() <= 1e-3 * np.abs(wanted).max()
    assert loaded.precision is Precision.FP32


def test_operators_are_told_by_those_that_have_a_profiler(runtime: Runtime, network: Network) -> None:
    told = runtime.operator_times(network.path, 1, lambda: None)
    assert (told != ()) == (runtime.name in ("onnxruntime", "openvino"))
    if told:
        assert sum(one.share for one in told) == pytest.approx(1.0)
        assert [one.median_ms for one in told] == sorted((one.median_ms for one in told), reverse=True)
        assert any("conv" in one.kind.lower() for one in told)


def test_conversion_leaves_the_given_file_alone(runtime: Runtime, network: Network) -> None:
    before = network.path.read_bytes()
    runtime.convert(network.path)
    assert network.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(1000)], ids=["empty", "garbage", "zeros"])
def test_file_that_is_no_network_is_refused_by_name(runtime: Runtime, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(MeasureError, match=r"broken"):
        runtime.load(runtime.convert(path), 1)


def test_unknown_operator_is_refused_in_one_line(runtime: Runtime, tmp_path: Path, make_tiny: Any) -> None:
    with pytest.raises(MeasureError) as caught:
        runtime.load(runtime.convert(_saved(tmp_path / "odd.onnx", make_tiny("NoSuchOperator"))), 1)
    assert "\n" not in str(caught.value)


def test_missing_weight_file_is_refused(runtime: Runtime, network: Network, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(network.path.read_bytes())
    with pytest.raises(MeasureError, match=r"lonely"):
        runtime.load(runtime.convert(lonely), 1)


def test_cpu_time_at_one_thread_is_the_networks(runtime: Runtime, network: Network) -> None:
    timed = TimedNetwork(runtime.load(runtime.convert(network.path), 1))
    times = timed.run(3)
    assert 0.0 < times.cpu_ms <= 1.2 * times.wall_ms


@pytest.fixture
def make_tiny() -> Any:
    def made(operator: str) -> onnx.ModelProto:
        tensors = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8]) for name in "xy"]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, ["x"], ["y"])], "tiny", tensors[:1], tensors[1:]
        )
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)

    return made
