from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.strategy import Cap, CapKind, Problem
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.registry import space


def test_the_last_untried_member_is_found(tiny_space: SearchSpace) -> None:
    members = canonical_members(tiny_space, 64)
    assert members is not None
    taken = {one.key for one in members} - {members[17].key}
    assert Draws(Problem(tiny_space)).fresh(taken, Random(0)) == members[17]


def test_mutants_widen_until_something_is_new(tiny_space: SearchSpace) -> None:
    members = canonical_members(tiny_space, 64)
    assert members is not None
    last = tiny_space.parse("000")
    taken = {one.key for one in members if one != last}
    assert Draws(Problem(tiny_space)).near(tiny_space.parse("333"), taken, Random(0), 50) == last


def test_draws_keep_the_exact_caps(tiny_space: SearchSpace) -> None:
    limit = macs(tiny_space.graph(tiny_space.parse("110")))
    draws = Draws(Problem(tiny_space, (Cap(CapKind.MACS, limit),)))
    for seed in range(20):
        assert macs(tiny_space.graph(draws.fresh(set(), Random(seed)))) <= limit


def test_a_parent_over_an_exact_cap_has_its_children_under_it() -> None:
    large = space("mobilenet-v2")
    problem = Problem(large, (Cap(CapKind.MACS, 60e6),))  # a fifth of the reference's
    for seed in range(3):
        found = Draws(problem).near(large.canonical(large.reference), set(), Random(seed), 20)
        assert macs(large.graph(found)) <= 60e6
