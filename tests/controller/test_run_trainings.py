from typing import Any

import pytest

from fleetnas_controller.run_trainings import read_run_trainings
from fleetnas_search_spaces.errors import InvalidArgumentError


def test_trainings_of_a_run_and_of_its_warm_start_count_once(searching: Any) -> None:
    earlier = searching.run("earlier", max_latency_ms=2.8)
    searching.run("later", max_latency_ms=2.5, warm_start="earlier", budget=12)
    both, source = read_run_trainings(searching.runs_dir, ["earlier", "later"], searching.space)
    later, _ = read_run_trainings(searching.runs_dir, ["later"], searching.space)
    assert both.rows != ()
    assert sorted(one.architecture for one in both.rows) == sorted(one.architecture for one in later.rows)
    assert len(both.rows) > len(earlier.trials)
    assert source == earlier.trials[0].accuracy_source


def test_accuracies_of_two_sources_are_not_mixed(searching: Any) -> None:
    searching.run("one", max_latency_ms=2.8)
    searching.run("two", max_latency_ms=2.8, accuracy="another source")
    with pytest.raises(InvalidArgumentError, match="come from 2 sources"):
        read_run_trainings(searching.runs_dir, ["one", "two"], searching.space)
