import itertools
from random import Random

import numpy as np
import pytest

from fleetnas_search_spaces.cell_201 import EDGES, backward_live, cell_features, forward_live, path_operations
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.nas_bench_201 import NASBench201
from fleetnas_search_spaces.operators import OperatorKind

SPACE = NASBench201()
RESNET = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


@pytest.mark.parametrize(
    ("code", "expected_macs_m", "expected_params_m"),
    [("333333", 220.11968, 1.531546), ("000000", 7.78304, 0.073306), (RESNET, 153.27296, 1.073466)],
)
def test_costs_are_the_published_ones(code: str, expected_macs_m: float, expected_params_m: float) -> None:
    graph = SPACE.graph(SPACE.parse(code))
    assert macs(graph) / 1e6 == expected_macs_m
    assert params(graph) / 1e6 == expected_params_m


def test_three_ways_of_writing_name_the_same_cell() -> None:
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    assert SPACE.parse(text) == SPACE.parse("421211") == SPACE.parse("0")
    assert SPACE.parse("15000") == SPACE.parse("010013")


def test_each_published_index_is_another_cell() -> None:
    cells = {SPACE.parse(str(index)) for index in range(15625)}
    assert len(cells) == 15625


@pytest.mark.parametrize(
    "text",
    ["15625", "421215", "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|", "-1", "abc", "a~0\n"],
)
def test_text_that_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="nas-bench-201") as error:
        SPACE.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "other"),
    [
        ("300000", "000000"),  # node 1 leads nowhere
        ("003033", "000000"),  # node 1 is reached from nowhere
        ("300010", "000300"),  # a skip behind or before the only operation
        ("100030", "000300"),
        ("320011", "230011"),  # the order of a sum
        ("110011", "101011"),
    ],
)
def test_codes_that_compute_the_same_share_one(code: str, other: str) -> None:
    assert SPACE.canonical(SPACE.parse(code)) == SPACE.canonical(SPACE.parse(other))


def test_two_convolutions_are_not_one_used_twice() -> None:
    used_twice, two = SPACE.parse("301011"), SPACE.parse("300310")
    assert SPACE.canonical(used_twice) != SPACE.canonical(two)


def test_nothing_dead_is_left_in_a_canonical_cell() -> None:
    rng = Random(0)
    for _ in range(300):
        choices = SPACE.canonical(SPACE.sample(rng)).choices
        used = tuple(choice != 0 for choice in choices)
        assert forward_live(choices) == backward_live(choices) == used


def test_live_edges_are_those_on_a_path() -> None:
    for choices in itertools.product((0, 1), repeat=6):
        both = [f and b for f, b in zip(forward_live(choices), backward_live(choices), strict=True)]
        paths = [(3,), (0, 4), (1, 5), (0, 2, 5)]
        walked = {edge for path in paths if all(choices[one] for one in path) for edge in path}
        assert {index for index, live in enumerate(both) if live} == walked


def test_cell_without_a_path_gives_zeros_and_runs_the_rest() -> None:
    graph = SPACE.graph(SPACE.parse("000000"))
    kinds = [node.operator.kind for node in graph.nodes]
    assert kinds.count(OperatorKind.ZERO) == 15
    assert OperatorKind.RELU_CONV not in {block.kind for block in graph.blocks}


def test_graph_has_a_block_for_each_operation_of_the_cell() -> None:
    graph = SPACE.graph(SPACE.parse("421211"))
    kinds = [block.kind for block in graph.blocks]
    assert kinds.count(OperatorKind.AVERAGE_POOL) == 15
    assert kinds.count(OperatorKind.RELU_CONV) == 2 * 15
    assert kinds.count(OperatorKind.ADD) == 3 * 15


def test_features_tell_different_cells_apart() -> None:
    rng = Random(1)
    drawn = {SPACE.canonical(SPACE.sample(rng)) for _ in range(200)}
    found = SPACE.features(sorted(drawn))
    assert found.shape == (len(drawn), 40)
    assert len(np.unique(found, axis=0)) > 0.9 * len(drawn)


def test_features_of_a_cell_are_what_its_paths_are() -> None:
    assert path_operations((3, 0, 0, 1, 2, 0)) == ((1,), (3, 2))
    assert cell_features((3, 0, 0, 1, 2, 0))[:11] == (1.0, 1.0, 1.0, 0.0, 2.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.5)
    assert len(EDGES) == len(SPACE.option_counts)
