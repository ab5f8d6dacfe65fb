from random import Random

import numpy as np
import pytest

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_model import fit_accuracy_model
from fleetnas_training.accuracy_models.candidates import is_better, kendall_tau
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.trainings import Training, Trainings

_GP = ["gaussian-process"]


def _tiny(space: SearchSpace) -> list[Architecture]:
    members = canonical_members(space, 100)
    assert members is not None
    return list(members)


def _percent(one: Architecture) -> float:
    return 60.0 + 3.0 * sum(one.choices) + 2.0 * np.sin(2.0 * one.choices[0])


def test_fifty_noisy_trainings_rank_the_published_table() -> None:
    macro = space("nas-bench-macro")
    members = canonical_members(macro, 7_000)
    assert members is not None
    noisy, true = accuracy_source("table:nas-bench-macro:single"), accuracy_source("table:nas-bench-macro")
    trained = Random(0).sample(members, 50)
    accuracies = [noisy.evaluate(one, draw).value_percent for draw, one in enumerate(trained)]
    model, candidates = fit_accuracy_model(Trainings.of(macro, trained, accuracies), _GP)
    some = members[::5]
    truth = np.array([true.evaluate(one, 0).value_percent for one in some])
    found = model.predict(some)
    assert kendall_tau(found.mean_percent, truth) > 0.8
    assert ((found.low_percent <= truth) & (truth <= found.high_percent)).mean() > 0.8
    assert candidates[0].judgement.tau > 0.7


def test_trained_architectures_are_known_better_than_others(tiny_space: SearchSpace) -> None:
    members = _tiny(tiny_space)
    trained, others = members[::3], members[1::3]
    found, _ = fit_accuracy_model(Trainings.of(tiny_space, trained, [_percent(one) for one in trained]), _GP)
    known, unknown = found.predict(trained), found.predict(others)
    assert np.abs(known.mean_percent - [_percent(one) for one in trained]).max() < 0.5
    assert (known.high_percent - known.low_percent).mean() < (
        unknown.high_percent - unknown.low_percent
    ).mean()


def test_every_model_is_listed_the_chosen_one_first_the_others_by_rank_loss(tiny_space: SearchSpace) -> None:
    trained = _tiny(tiny_space)[::2]
    accuracies = [_percent(one) for one in trained]
    data = Trainings.of(tiny_space, trained, accuracies)
    model, candidates = fit_accuracy_model(data, ["boosting", *_GP, "bayesian-ridge"])
    losses = [one.judgement.rank_loss for one in candidates[1:]]
    assert {one.family for one in candidates} == {"gaussian-process", "bayesian-ridge", "boosting"}
    assert losses == sorted(losses)
    chosen = model.with_candidate(candidates[0]).predict(trained)
    assert np.array_equal(model.predict(trained).mean_percent, chosen.mean_percent)


def test_gaussian_process_stays_where_another_model_is_better_by_luck(tiny_space: SearchSpace) -> None:
    luck = 0
    for seed in range(20):
        trained = _tiny(tiny_space)
        Random(seed).shuffle(trained)
        noise = np.random.default_rng(seed).normal(0.0, 0.5, 14)
        accuracies = [_percent(one) + more for one, more in zip(trained, noise, strict=False)]
        data = Trainings.of(tiny_space, trained[:14], accuracies)
        _, candidates = fit_accuracy_model(data, ["bayesian-ridge", *_GP])
        process, ridge = sorted(candidates, key=lambda one: one.family != "gaussian-process")
        luck += ridge.judgement.rank_loss < process.judgement.rank_loss
        chosen = candidates[0].family
        assert (chosen == "bayesian-ridge") is is_better(ridge, process)
    assert luck > 2


@pytest.mark.parametrize(("cheap_count", "expected"), [(12, ()), (24, ("12",))])
def test_cheap_trainings_are_taken_in_by_default_where_they_know_more_networks(
    tiny_space: SearchSpace, cheap_count: int, expected: tuple[str, ...]
) -> None:
    members = _tiny(tiny_space)
    Random(3).shuffle(members)
    dear = [Training(one, _percent(one), "200") for one in members[:12]]
    cheap = [Training(one, _percent(one) - 5.0, "12") for one in members[:cheap_count]]
    _, candidates = fit_accuracy_model(Trainings(tiny_space, (*dear, *cheap), ("12", "200")), _GP)
    assert not is_better(candidates[1], candidates[0])
    assert candidates[0].low == expected


def test_cheap_trainings_of_more_networks_rank_better_where_they_agree(tiny_space: SearchSpace) -> None:
    members = _tiny(tiny_space)
    Random(1).shuffle(members)
    bumps = dict(zip(members, np.random.default_rng(0).normal(0.0, 6.0, len(members)), strict=True))
    dear = [Training(one, _percent(one) / 2 + 30 + bumps[one] / 2, "200") for one in members[:12]]
    cheap = [Training(one, _percent(one) / 2 + 20 + bumps[one] / 2, "12") for one in members]
    truth = np.array([_percent(one) + bumps[one] for one in members[12:]])
    alone, _ = fit_accuracy_model(Trainings(tiny_space, tuple(dear), ("200",)), _GP)
    both, candidates = fit_accuracy_model(Trainings(tiny_space, (*dear, *cheap), ("12", "200")), _GP)
    with_low = next(one for one in candidates if one.low)
    assert with_low.name == "gaussian-process + 12"
    assert with_low.stage.rho > 0.5
    better = both.with_candidate(with_low).predict(members[12:]).mean_percent
    assert kendall_tau(better, truth) > kendall_tau(alone.predict(members[12:]).mean_percent, truth) + 0.1


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([90.0] * 9, "9 different networks have an accuracy: give at least 10"),
        ([90.0] * 11 + [float("nan")], "has nan as its accuracy"),
        ([90.0] * 11 + [120.0], "has 120.0 as its accuracy"),
        ([0.9] * 12, "give percent"),
    ],
)
def test_unusable_accuracies_are_refused(tiny_space: SearchSpace, accuracies: list[float], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        Trainings.of(tiny_space, _tiny(tiny_space)[: len(accuracies)], accuracies)


def test_repeats_that_differ_are_noise_and_repeats_that_agree_count_once(tiny_space: SearchSpace) -> None:
    members = _tiny(tiny_space)[:12]
    accuracies = [_percent(one) for one in members]
    agreeing = Trainings.of(tiny_space, members * 2, accuracies * 2)
    differing = Trainings.of(tiny_space, members * 2, [*accuracies, *(one + 0.5 for one in accuracies)])
    assert (agreeing.noisy(""), len(agreeing.at(""))) == (False, 12)
    assert (differing.noisy(""), len(differing.at(""))) == (True, 24)


def test_tau_of_equal_and_opposite_rankings() -> None:
    up = np.arange(5.0)
    assert kendall_tau(up, up) == pytest.approx(1.0)
    assert kendall_tau(up, -up) == pytest.approx(-1.0)
    assert kendall_tau(up, np.zeros(5)) == 0.0
