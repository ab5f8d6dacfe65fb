from typing import Any

import numpy as np
import pytest

from fleetnas_training.accuracy_models.candidates import (
    Candidate,
    Judgement,
    agreements,
    best_candidate,
    is_better,
)

_HARD = np.random.default_rng(0).normal(0.7, 0.3, 50)
"""How well fifty networks are ranked by the default: some are hard for every model."""


def _candidate(name: str, agreements: Any) -> Candidate:
    stage: Any = None
    return Candidate(name, (), (), stage, Judgement(agreements.mean(), 1.0, 0.9, 0.9, 1.6), agreements)


def _gaining(mean: float, deviation: float) -> Candidate:
    """Ranks better than the default by ``mean``, network by network with a deviation."""
    noise = np.random.default_rng(1).normal(0.0, 1.0, len(_HARD))
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return _candidate(f"gains {mean}", _HARD + mean + deviation * noise)


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [(0.02, 0.05, True), (0.02, 0.1, False), (0.0, 0.0, False), (-0.02, 0.05, False)],
)
def test_model_is_better_by_more_than_one_standard_error(
    mean: float, deviation: float, expected: bool
) -> None:
    # Twice the deviation over the root of 50 networks is the standard error: .014 and .028.
    assert is_better(_gaining(mean, deviation), _candidate("default", _HARD)) is expected


def test_standard_error_is_that_of_tau_over_draws_of_networks() -> None:
    rng = np.random.default_rng(2)
    better = 0
    for _ in range(400):
        truth = rng.normal(size=30)
        one, other = (_ranked(truth, truth + rng.normal(0.0, 0.5, 30)) for _ in range(2))
        better += is_better(one, other)
    assert 0.10 < better / 400 < 0.22  # one of two equals is better by one standard error 16 times of 100


def _ranked(truth: Any, predicted: Any) -> Candidate:
    return _candidate("one", agreements(truth, predicted))


def test_least_rank_loss_wins_among_those_that_are_better_than_the_default() -> None:
    default = _candidate("default", _HARD)
    lucky, steady, steadier = _gaining(0.05, 0.3), _gaining(0.02, 0.01), _gaining(0.03, 0.01)
    assert best_candidate(default, [default, lucky, steady, steadier]) is steadier
    assert best_candidate(default, [default, lucky]) is default
