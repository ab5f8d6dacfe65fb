"""Blocks as networks of their own."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from fleetnas_search_spaces.cost import block_costs, macs
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.weights import WeightPool

SPACE = NASBenchMacro()


@pytest.fixture
def single_blocks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "single_blocks", raising=False)
    return import_module("single_blocks")


def test_blocks_alone_add_up_to_the_network(single_blocks: ModuleType) -> None:
    network = SPACE.graph(SPACE.reference)
    alone = single_blocks.block_graphs(SPACE, [SPACE.reference])
    assert sum(macs(alone[block]) for block in network.blocks) == macs(network)
    for block, cost in zip(network.blocks, block_costs(network), strict=True):
        assert block_costs(alone[block]) == (cost,)


def test_each_block_can_be_written_and_run(single_blocks: ModuleType, tmp_path: Path) -> None:
    from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime

    pool = WeightPool(None)
    graphs = {**single_blocks.block_graphs(SPACE, [SPACE.reference]), None: single_blocks.call_graph()}
    for block, graph in graphs.items():
        path = tmp_path / "block.onnx"
        path.write_bytes(emit_onnx(graph, pool, key="").model_bytes)
        output = OnnxRuntime().load(path, 1).output
        assert output.shape[1] == graph.nodes[-1].operator.out_channels, block
