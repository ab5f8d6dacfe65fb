"""What every search space promises; a user's own space may be added to the list."""

from random import Random

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import block_costs, macs, params
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space, space_names
from fleetnas_search_spaces.weights import WeightPool

_seeds = st.integers(0, 2**32)
_few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[*space_names(), "a user's"])
def any_space(request: pytest.FixtureRequest, tiny_space: SearchSpace) -> SearchSpace:
    return tiny_space if request.param == "a user's" else space(request.param)


def test_it_is_registered_under_its_own_name(any_space: SearchSpace) -> None:
    assert isinstance(any_space, SearchSpace)
    assert any_space.reference.space == any_space.name
    assert any_space.canonical(any_space.reference).space == any_space.name


@_few
@given(seed=_seeds)
def test_a_draw_is_a_legal_point(any_space: SearchSpace, seed: int) -> None:
    drawn = any_space.sample(Random(seed))
    assert len(drawn.choices) == len(any_space.option_counts)
    assert all(0 <= one < count for one, count in zip(drawn.choices, any_space.option_counts, strict=True))
    assert drawn == any_space.sample(Random(seed))


@_few
@given(seed=_seeds)
def test_text_and_architecture_are_two_forms_of_one_thing(any_space: SearchSpace, seed: int) -> None:
    drawn = any_space.sample(Random(seed))
    assert any_space.parse(any_space.format(drawn)) == drawn
    assert any_space.parse(f"  {any_space.format(drawn)}\n") == drawn


@_few
@given(text=st.text(max_size=40))
def test_text_that_is_no_architecture_is_refused_and_nothing_else(any_space: SearchSpace, text: str) -> None:
    try:
        parsed = any_space.parse(text)
    except InvalidArgumentError as error:
        said = str(error)
    else:
        said = any_space.format(parsed)
        assert any_space.parse(said) == parsed
    assert "\n" not in said


@_few
@given(seed=_seeds)
def test_a_mutation_changes_one_choice(any_space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    parent = any_space.sample(rng)
    child = any_space.mutate(parent, rng)
    assert sum(a != b for a, b in zip(parent.choices, child.choices, strict=True)) == 1


def test_mutations_reach_every_decision(any_space: SearchSpace) -> None:
    rng, parent = Random(0), any_space.reference
    children = [any_space.mutate(parent, rng) for _ in range(60 * len(parent.choices))]
    moved = {
        index
        for child in children
        for index, (a, b) in enumerate(zip(parent.choices, child.choices, strict=True))
        if a != b
    }
    assert moved == {index for index, count in enumerate(any_space.option_counts) if count > 1}


@_few
@given(seed=_seeds)
def test_a_canonical_form_is_its_own_and_computes_the_same(any_space: SearchSpace, seed: int) -> None:
    drawn = any_space.sample(Random(seed))
    canonical = any_space.canonical(drawn)
    assert any_space.canonical(canonical) == canonical
    assert any_space.graph(canonical) == any_space.graph(drawn)


@_few
@given(seed=_seeds)
def test_blocks_share_the_cost_of_the_whole_network(any_space: SearchSpace, seed: int) -> None:
    graph = any_space.graph(any_space.sample(Random(seed)))
    assert {node.block for node in graph.nodes} == set(range(len(graph.blocks)))
    costs = block_costs(graph)
    assert sum(one.macs for one in costs) == macs(graph) > 0
    assert sum(one.params for one in costs) == params(graph) > 0


@_few
@given(seed=_seeds)
def test_features_are_finite_and_belong_to_one_architecture_each(any_space: SearchSpace, seed: int) -> None:
    rng = Random(seed)
    drawn = [any_space.canonical(any_space.sample(rng)) for _ in range(3)]
    together = any_space.features(drawn)
    assert np.isfinite(together).all()
    for index, one in enumerate(drawn):
        np.testing.assert_allclose(any_space.features([one])[0], together[index], rtol=1e-12)


def test_a_network_becomes_a_valid_file(any_space: SearchSpace) -> None:
    drawn = any_space.canonical(any_space.sample(Random(5)))
    graph = any_space.graph(drawn)
    model = onnx.load_from_string(emit_onnx(graph, WeightPool(None), key=drawn.key).model_bytes)
    onnx.checker.check_model(model, full_check=True)
    shape = [one.dim_value for one in model.graph.input[0].type.tensor_type.shape.dim]
    assert tuple(shape) == (1, *graph.input_shape)


def test_a_point_of_another_space_is_refused(any_space: SearchSpace) -> None:
    foreign = Architecture("elsewhere", any_space.reference.choices, any_space.reference.resolution_px)
    if any_space.name == "tiny":
        pytest.skip("a user's space may leave the check out")
    with pytest.raises(InvalidArgumentError, match="elsewhere"):
        any_space.canonical(foreign)
