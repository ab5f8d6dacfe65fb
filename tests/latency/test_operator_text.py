import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_latency.operator_text import (
    architecture_from_key,
    operator_from_json,
    operator_key,
    operator_to_json,
)
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError
from fleetnas_search_spaces.operators import Operator, OperatorKind

operators = st.from_type(Operator)


@given(operators)
def test_operator_comes_back_from_json(operator: Operator) -> None:
    assert operator_from_json(operator_to_json(operator)) == operator


@given(operators, operators)
def test_different_operators_have_different_keys(one: Operator, other: Operator) -> None:
    assert (operator_key(one) == operator_key(other)) == (one == other)


def test_key_names_what_differs_from_the_default() -> None:
    operator = Operator(OperatorKind.CONV, 3, 32, 16, kernel_px=3, residual=True)
    assert operator_key(operator) == "conv/in_channels=3,out_channels=32,in_px=16,kernel_px=3,residual=1"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind": "warp", "in_channels": 1}', '{"kind": "conv", "new": 1}']
)
def test_json_that_is_no_operator_is_data_loss(text: str) -> None:
    with pytest.raises(DataLossError):
        operator_from_json(text)


@given(st.lists(st.integers(0, 20), min_size=1), st.integers(1, 999))
def test_architecture_comes_back_from_its_key(choices: list[int], resolution_px: int) -> None:
    architecture = Architecture("a/b", tuple(choices), resolution_px)
    assert architecture_from_key(architecture.key) == architecture


@pytest.mark.parametrize("key", ["", "toy", "toy/32/", "toy/x/1", "1/2"])
def test_text_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidArgumentError):
        architecture_from_key(key)
