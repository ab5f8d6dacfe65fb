"""Tables of operators."""

import pytest

from fleetnas_latency.operator_times import operator_times


def test_longest_operator_comes_first_with_its_share() -> None:
    found = operator_times({("a", "Conv"): [1.0, 9.0, 1.0], ("b", "Gemm"): [3.0, 3.0, 3.0]})
    assert [(one.name, one.median_ms, one.share) for one in found] == [("b", 3.0, 0.75), ("a", 1.0, 0.25)]


def test_what_is_too_much_is_put_together_at_the_end() -> None:
    found = operator_times({(f"n{index}", "Conv"): [float(index)] for index in range(1, 7)}, most=3)
    assert [one.name for one in found] == ["n6", "n5", "4 others"]
    assert sum(one.share for one in found) == pytest.approx(1.0)


def test_names_are_cut_to_a_bounded_length() -> None:
    assert len(operator_times({("x" * 5000, "Conv"): [1.0]})[0].name) == 120


def test_no_operators_is_an_empty_table() -> None:
    assert operator_times({}) == ()
