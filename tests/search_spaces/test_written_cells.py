import numpy as np

from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.cell_201 import zero_folded
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.written_cells import RunsMore, WrittenCells


def test_every_code_is_a_network_of_its_own() -> None:
    assert len(canonical_members(WrittenCells(), 20_000) or ()) == 15_625


def test_cells_that_compute_the_same_differ_in_what_runs_alone() -> None:
    cells = WrittenCells()
    dead, clean = cells.parse("300100"), cells.parse("000100")  # a convolution whose result nobody takes
    assert space("nas-bench-201").canonical(dead) == space("nas-bench-201").canonical(clean)
    assert (cells.features([dead]) == cells.features([clean])).all()
    assert cells.executed([dead])[0].tolist() != cells.executed([clean])[0].tolist()


def test_executed_operations_are_counted_under_five_readings() -> None:
    counts = WrittenCells().executed([WrittenCells().parse("300100")])[0][:20].reshape(5, 4)
    # skip, 1 x 1, 3 x 3, pooling: as written; reaching the output; reached from the input; both; zeros folded
    assert counts.tolist() == [[1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 1, 0]]


def test_a_zero_is_folded_into_a_lone_operation_but_not_into_a_sum() -> None:
    assert zero_folded((3, 0, 0, 1, 0, 0)) == (True, False, False, True, False, False)
    assert zero_folded((0, 3, 2, 1, 0, 0)) == (False, False, False, True, False, False)


def test_the_work_of_what_runs_is_the_logarithm_of_its_multiplications() -> None:
    work = WrittenCells().executed([WrittenCells().parse("300102")])[0][20:].reshape(5, 2)
    # A 3 x 3 that nobody takes, a 1 x 1 that nothing reaches: both as written, one under each reading, none live; but
    # both run where zeros are folded.
    assert np.expm1(work[:, 0]).round(9).tolist() == [10.0, 1.0, 9.0, 0.0, 10.0]


def test_written_cells_are_a_search_space_that_runs_more() -> None:
    assert isinstance(WrittenCells(), SearchSpace)
    assert isinstance(WrittenCells(), RunsMore)
    assert not isinstance(space("nas-bench-201"), RunsMore)
