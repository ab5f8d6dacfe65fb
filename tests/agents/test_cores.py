"""Which cores are fast."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_agents.drivers.cores import big_cores, core_text, parse_cores
from fleetnas_agents.shells.shell import Finished
from fleetnas_search_spaces.errors import InvalidArgumentError


class Told:
    """A shell that answers one thing."""

    def __init__(self, text: str) -> None:
        self._text = text

    def run(self, command: str, *, timeout_s: float) -> Finished:
        return Finished(0, self._text)


def of(text: str) -> Any:
    return big_cores(Told(text))  # type: ignore[arg-type]


def test_fast_cluster_of_a_phone_is_taken() -> None:
    little = "".join(f"core {core} 1800000\r\n" for core in range(4))
    assert of(little + "".join(f"core {core} 2800000\r\n" for core in range(4, 8))) == (4, 5, 6, 7)


def test_all_cores_are_taken_where_all_are_alike() -> None:
    assert of("core 1 1600000\ncore 0 1600000\n") == (0, 1)


def test_nothing_is_pinned_where_the_kernel_tells_no_frequency() -> None:
    assert of("core 0 \ncore 1 \n") == ()


@given(st.sets(st.integers(0, 999), min_size=1, max_size=12))
def test_core_list_comes_back(cores: set[int]) -> None:
    assert parse_cores(core_text(tuple(cores))) == tuple(sorted(cores))


@pytest.mark.parametrize("text", ["", "4-", "7-4", "a", "1,,2", "-1", "4--7"])
def test_text_that_is_no_core_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--cores"):
        parse_cores(text)
