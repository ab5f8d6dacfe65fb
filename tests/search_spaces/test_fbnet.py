import numpy as np
import pytest

from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.fbnet import FBNet
from fleetnas_search_spaces.operators import OperatorKind

SPACE = FBNet()
ALL_SKIPS = "8" * 22


def test_code_of_the_published_table_is_read_and_written() -> None:
    code = "7818488874147327324245"
    assert SPACE.format(SPACE.parse(code)) == code


@pytest.mark.parametrize("code", ["9" * 22, "0" * 21, "0" * 23, "k3_e1"])
def test_text_that_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(InvalidArgumentError, match="fbnet"):
        SPACE.parse(code)


def test_skips_of_the_same_shape_are_moved_to_the_end_of_their_stage() -> None:
    code = "8" + "8801" + "8888" * 4 + "8"
    assert SPACE.format(SPACE.canonical(SPACE.parse(code))) == "8" + "8018" + "8888" * 4 + "8"


def test_skip_that_changes_the_shape_is_a_convolution_and_others_are_nothing() -> None:
    graph = SPACE.graph(SPACE.parse(ALL_SKIPS))
    kinds = [block.kind for block in graph.blocks]
    assert kinds == [OperatorKind.STEM, *[OperatorKind.DOWNSAMPLE] * 6, OperatorKind.HEAD]


def test_block_in_two_groups_shuffles_and_has_half_the_weights_in_its_1x1_convolutions() -> None:
    plain, grouped = (SPACE.graph(SPACE.parse(digit + ALL_SKIPS[1:])) for digit in "01")
    assert [node.operator.kind for node in grouped.nodes].count(OperatorKind.CHANNEL_SHUFFLE) == 1
    assert params(plain) - params(grouped) == 16 * 16


def test_first_slot_keeps_the_shape_and_so_adds_its_input() -> None:
    graph = SPACE.graph(SPACE.reference)
    assert [block.residual for block in graph.blocks[1:7]] == [True, False, True, True, True, False]


def test_resolution_falls_by_eight() -> None:
    assert SPACE.graph(SPACE.reference).blocks[-1].in_px == 4


def test_fast_costs_are_those_of_the_graph() -> None:
    one = SPACE.parse("7818488874147327324245")
    graph = SPACE.graph(one)
    found = np.exp(SPACE.features([one])[0, -2:])
    assert found == pytest.approx([macs(graph), params(graph)])
