from random import Random

import numpy as np
import pytest

from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import AccuracyModel, kendall_tau
from fleetnas_training.accuracy_source import accuracy_source


def test_fifty_noisy_trainings_rank_the_published_table() -> None:
    macro = space("nas-bench-macro")
    members = canonical_members(macro, 7_000)
    assert members is not None
    noisy, true = accuracy_source("table:nas-bench-macro:single"), accuracy_source("table:nas-bench-macro")
    trained = Random(0).sample(members, 50)
    accuracies = [noisy.evaluate(one, draw).value_percent for draw, one in enumerate(trained)]
    model = AccuracyModel(macro, trained, accuracies, noisy=True)
    some = members[::5]
    truth = np.array([true.evaluate(one, 0).value_percent for one in some])
    assert kendall_tau(model.predict(some).mean_percent, truth) > 0.8
    assert model.leave_one_out().tau > 0.7
    assert 0.75 < model.leave_one_out().coverage_90 <= 1.0


def test_trained_architectures_are_known_better_than_others(tiny_space: SearchSpace) -> None:
    trained = [tiny_space.parse(text) for text in ("000", "111", "222", "333", "012")]
    model = AccuracyModel(tiny_space, trained, [80.0, 85.0, 88.0, 90.0, 84.0], noisy=False)
    known, other = model.predict(trained), model.predict([tiny_space.parse("303")])
    np.testing.assert_allclose(known.mean_percent, [80.0, 85.0, 88.0, 90.0, 84.0], atol=0.3)
    assert other.std_percent[0] > 2 * known.std_percent.max()


@pytest.mark.parametrize("accuracies", [[90.0], [90.0, float("nan")]])
def test_unusable_accuracies_are_refused(tiny_space: SearchSpace, accuracies: list[float]) -> None:
    with pytest.raises(InvalidArgumentError, match="accurac"):
        AccuracyModel(tiny_space, [tiny_space.reference] * 2, accuracies, noisy=True)


def test_tau_of_equal_and_opposite_rankings() -> None:
    up = np.arange(5.0)
    assert kendall_tau(up, up) == pytest.approx(1.0)
    assert kendall_tau(up, -up) == pytest.approx(-1.0)
    assert kendall_tau(up, np.zeros(5)) == 0.0
