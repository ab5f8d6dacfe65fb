"""What every family of accuracy models promises."""

import json

import numpy as np
import pytest

from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError
from fleetnas_training.accuracy_models import families
from fleetnas_training.accuracy_models.families import FAMILIES, chosen_families
from fleetnas_training.accuracy_models.training_set import Family, TrainingSet, fold_numbers

_RNG = np.random.default_rng(0)
_FEATURES = _RNG.standard_normal((60, 4))
_SIGNAL = _FEATURES @ [0.8, -0.5, 0.3, 0.0]
_NEW = _RNG.standard_normal((40, 4))


def _data(noise: float = 0.1) -> TrainingSet:
    targets = _SIGNAL + noise * np.random.default_rng(1).standard_normal(60)
    return TrainingSet(_FEATURES, np.arange(60), targets, np.zeros(60), noisy=True)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[str(request.param)]


def test_new_networks_are_predicted(family: Family) -> None:
    data = _data()
    mean, variance = family.restore(data, family.learn(data).settings).predict(_NEW, np.arange(60, 100))
    assert np.corrcoef(mean, _NEW @ [0.8, -0.5, 0.3, 0.0])[0, 1] > 0.8
    assert (variance >= 0.0).all()


def test_held_out_predictions_know_nothing_of_their_own_network(family: Family) -> None:
    ids = np.repeat(np.arange(30), 2)
    features = np.repeat(_FEATURES[:30], 2, axis=0)
    odd = np.where(ids == 7, 25.0, np.random.default_rng(2).standard_normal(60))
    held = family.learn(TrainingSet(features, ids, odd, np.zeros(60), noisy=True)).held
    assert np.abs(held.mean[ids == 7]).max() < 8.0
    assert (held.variance > 0.0).all()


def test_settings_survive_json_to_the_last_bit(family: Family) -> None:
    data = _data()
    settings = family.learn(data).settings
    there = family.restore(data, settings)
    back = family.restore(data, json.loads(json.dumps(dict(settings))))
    for one, other in zip(there.predict(_NEW, np.arange(40)), back.predict(_NEW, np.arange(40)), strict=True):
        assert np.array_equal(one, other)
    assert there.noise_variance == back.noise_variance


def test_noise_is_seen_in_the_held_out_variance(family: Family) -> None:
    quiet, loud = family.learn(_data(0.05)).held, family.learn(_data(1.5)).held
    assert loud.variance.mean() > 2.0 * quiet.variance.mean()


def test_ridge_leaves_a_network_out_as_fitting_without_it_does() -> None:
    ridge, data = FAMILIES["bayesian-ridge"], _data()
    learned = ridge.learn(data)
    left = ridge.restore(data.rows(np.arange(60) != 5), learned.settings)
    mean, variance = left.predict(_FEATURES[5:6], np.array([5]))
    assert learned.held.mean[5] == pytest.approx(mean[0])
    assert learned.held.variance[5] == pytest.approx(variance[0] + left.noise_variance)


def test_folds_keep_the_trainings_of_a_network_together() -> None:
    ids = np.repeat(np.arange(25), 3)
    folds = fold_numbers(ids)
    assert all(len(set(folds[ids == number])) == 1 for number in range(25))
    assert set(folds) == set(range(10))


def test_family_that_is_not_installed_is_left_out_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "find_spec", lambda name: None)
    assert [one.name for one in chosen_families()] == ["gaussian-process", "bayesian-ridge"]
    with pytest.raises(FailedPreconditionError, match=r"needs lightgbm.*fleetnas\[boosting\]"):
        chosen_families(["boosting"])


def test_unknown_family_is_named_with_the_near_ones() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'boosting'"):
        chosen_families(["bosting"])
