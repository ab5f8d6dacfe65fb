from dataclasses import replace

import pytest

from fleetnas_controller.evaluation import Evaluation, searched_accuracy
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_search_spaces.registry import space

_CONFIG = SearchConfig("one", "nas-bench-macro", "random", "table:nas-bench-macro:single", ("host",))


def _drawn(config: SearchConfig, numbers: range) -> list[float | None]:
    """Accuracies of the reference in trials of these numbers, of a search that has just begun or gone on."""
    evaluation = Evaluation(searched_accuracy(config), space(config.space), "")
    trials = (Trial(one, TrialPhase.SEARCH, "22222222") for one in numbers)
    return [evaluation.evaluated(one).accuracy for one in trials]


def test_searches_of_other_seeds_draw_other_trainings() -> None:
    drawn = {tuple(_drawn(replace(_CONFIG, seed=seed), range(20))) for seed in range(4)}
    assert len(drawn) == 4
    assert all(len(set(one)) == 3 for one in drawn)


@pytest.mark.parametrize("gone_after", [0, 7, 19])
def test_search_that_goes_on_draws_the_trainings_of_the_unbroken_one(gone_after: int) -> None:
    config = replace(_CONFIG, seed=5)
    broken = _drawn(config, range(gone_after)) + _drawn(config, range(gone_after, 20))
    assert broken == _drawn(config, range(20))
