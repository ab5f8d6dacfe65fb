from random import Random

import numpy as np

from fleetnas_controller.strategies.candidates import Candidates
from fleetnas_controller.strategies.strategy import Cap, CapKind, Problem
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.cost import params
from fleetnas_search_spaces.registry import space


def test_a_small_space_is_listed_whole() -> None:
    candidates = Candidates(Problem(space("nas-bench-macro")))
    assert candidates.whole
    assert len(candidates) == 3_969


def test_a_big_space_is_sampled_within_the_exact_caps() -> None:
    big = space("mobilenet-v2")
    limit = params(big.graph(big.reference))
    candidates = Candidates(Problem(big, (Cap(CapKind.PARAMS, limit),)))
    assert not candidates.whole
    assert len({one.key for one in candidates.members}) == len(candidates) >= 2_000
    assert candidates.allowed.all()


def test_design_starts_with_the_reference_and_the_plainest(tiny_space: SearchSpace) -> None:
    design = Candidates(Problem(tiny_space)).design(12)
    assert [tiny_space.format(one) for one in design[:2]] == ["333", "000"]
    assert len(set(design)) == 12


def test_newcomers_take_the_columns_given_away(tiny_space: SearchSpace) -> None:
    big = space("mobilenet-v2")
    candidates = Candidates(Problem(big))
    leaver = candidates.members[7]
    newcomer = big.canonical(big.mutate(candidates.members[8], Random(1)))
    assert candidates.column(newcomer) is None
    change = candidates.admit([newcomer, candidates.members[9]], [7, 10])
    assert change is not None
    assert change.columns.tolist() == [7]
    assert candidates.column(newcomer) == 7
    assert candidates.column(leaver) is None
    np.testing.assert_allclose(candidates.features[7], candidates.standardised([newcomer])[0])


def test_members_only_are_no_change(tiny_space: SearchSpace) -> None:
    candidates = Candidates(Problem(tiny_space))
    assert candidates.admit(candidates.members[:3], [5, 6]) is None
