from random import Random

import numpy as np
import pytest

from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.structure import Structure, check_rows
from fleetnas_search_spaces.fbnet import FBNet
from fleetnas_search_spaces.nas_bench_201 import NASBench201

CELLS = CellStructure(NASBench201())
NAMES = [one.name for one in CELLS.hypotheses]


def _counts(hypothesis: str, code: str) -> list[float]:
    return [float(one) for one in CELLS.rows([CELLS.space.parse(code)])[NAMES.index(hypothesis), 0]]


@pytest.mark.parametrize("structure", [CELLS, ChainStructure(FBNet())], ids=["cell", "chain"])
def test_structure_keeps_its_promises(structure: Structure) -> None:
    rng = Random(0)
    rows = structure.rows([structure.space.sample(rng) for _ in range(50)])
    check_rows(rows, structure.hypotheses)
    base = structure.hypotheses[0].base_count
    assert structure.features().shape[0] == base == len(structure.entry_names) == len(structure.operators)
    assert not structure.features()[0].any()
    assert (rows[:, :, 0] == 1.0).all()
    assert sum(one.weight for one in structure.hypotheses) == pytest.approx(1.0)
    mean, std = structure.extra_prior(np.ones(base))
    assert len(mean) == len(std) == rows.shape[2] - base


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [
        ("raw", [1, 1, 1, 2, 0]),  # 0-1 conv 3, 0-2 conv 1, 0-3 skip, 2-3 nothing, 1-2 conv 3
        ("backward-alive", [1, 1, 0, 0, 0]),
        ("forward-alive", [1, 1, 1, 2, 0]),
        ("canonical", [1, 1, 0, 0, 0]),
        ("zero-folded", [1, 1, 0, 0, 0]),
    ],
)
def test_hypotheses_count_what_they_execute(hypothesis: str, expected: list[float]) -> None:
    assert _counts(hypothesis, "323100")[:5] == expected


def test_edge_fed_by_nothing_is_forward_dead_only() -> None:
    assert _counts("backward-alive", "000103")[:5] == [1, 1, 0, 1, 0]
    assert _counts("forward-alive", "000103")[:5] == [1, 1, 0, 0, 0]


def test_lone_operation_before_a_zero_runs_where_zeros_are_folded() -> None:
    assert _counts("zero-folded", "300100")[:5] == [1, 1, 0, 1, 0]
    assert _counts("backward-alive", "300100")[:5] == [1, 1, 0, 0, 0]


def test_parallel_entries_are_what_is_not_on_the_longest_path() -> None:
    # Paths: 3 x 3 alone; 1 x 1, then 3 x 3. In all 1/9 + 2 of work and three convolutions.
    one_by_one, number = _counts("parallel", "200330")[5:]
    assert one_by_one == pytest.approx(-1.0)
    assert number == -1.0


def test_parallel_entries_of_a_single_path_are_zero() -> None:
    assert _counts("parallel", "302003")[5:] == [0.0, 0.0]


def test_3x3_convolution_has_nine_times_the_work_of_a_1x1() -> None:
    features = dict(zip(CELLS.entry_names, CELLS.features(), strict=True))
    assert features["nor_conv_3x3"][0] == pytest.approx(9.0 * features["nor_conv_1x1"][0])
    assert features["avg_pool_3x3"][0] == 0.0
    assert not features["skip_connect"].any()


def test_chain_shares_entries_between_slots_of_one_shape() -> None:
    structure = ChainStructure(FBNet())
    rows = structure.rows([FBNet().parse("8" + "8000" + "8" * 17)])[0, 0]
    assert rows.max() == 3.0
