from random import Random

import numpy as np
import pytest

from fleetnas_controller.strategies.lstm_policy import LstmPolicy
from fleetnas_controller.strategies.objective import as_share
from fleetnas_controller.strategies.reinforce import Reinforce
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError


def _policy(tanh_constant: float | None = None) -> LstmPolicy:
    return LstmPolicy((3, 2, 4), hidden_size=5, temperature=1.5, tanh_constant=tanh_constant, seed=1)


@pytest.mark.parametrize("tanh_constant", [None, 2.5])
def test_gradient_agrees_with_finite_differences(tanh_constant: float | None) -> None:
    policy, choices = _policy(tanh_constant), (2, 0, 3)
    gradients = policy.gradients(choices, 0.7, 0.3)
    rng = np.random.default_rng(0)
    for name, weights in policy.weights.items():
        direction = rng.standard_normal(weights.shape)
        step = 1e-5 * direction
        weights += step
        above = policy.loss(choices, 0.7, 0.3)
        weights -= 2 * step
        below = policy.loss(choices, 0.7, 0.3)
        weights += step
        assert float((gradients[name] * direction).sum()) == pytest.approx(
            (above - below) / 2e-5, rel=1e-5, abs=1e-9
        )


def test_rewarded_choices_become_likelier_and_punished_ones_rarer() -> None:
    choices = (2, 0, 3)
    for advantage in (1.0, -1.0):
        policy = _policy()
        before = policy.loss(choices, 1.0, 0.0)  # minus the log-probability
        policy.reinforce(choices, advantage, 0.0, 0.01)
        assert (policy.loss(choices, 1.0, 0.0) < before) == (advantage > 0.0)


def test_entropy_bonus_alone_makes_draws_uniform() -> None:
    policy = _policy()
    for _ in range(30):
        policy.reinforce((2, 0, 3), 1.0, 0.0, 0.02)
    peaked = float(policy.probabilities((2, 0, 3))[0].max())
    for _ in range(300):
        policy.reinforce((2, 0, 3), 0.0, 1.0, 0.02)
    assert peaked > 0.6
    assert float(policy.probabilities((2, 0, 3))[0].max()) < 0.36


def test_draws_follow_the_probabilities() -> None:
    policy, rng = _policy(), Random(0)
    first = [policy.sample(rng)[0] for _ in range(3_000)]
    counts = np.bincount(first, minlength=3) / len(first)
    assert counts == pytest.approx(policy.probabilities((0, 0, 0))[0], abs=0.04)


def test_policy_comes_to_propose_what_pays(tiny_space: SearchSpace) -> None:
    strategy = Reinforce(Problem(tiny_space, accuracy_noise=True), controller_lr=0.01)
    rng = Random(3)
    proposals = []
    for number in range(250):
        one = strategy.ask([], rng)
        proposals.append(sum(one.choices))
        strategy.tell(Outcome(number, one, 80.0 + sum(one.choices)), rng)
    assert np.mean(proposals[-50:]) > np.mean(proposals[1:51]) + 1.5


def test_rewards_are_shares_and_broken_caps_below_all_of_them() -> None:
    assert as_share(93.0) == pytest.approx(0.93)
    assert as_share(-1000.0 - 100.0 * 0.2) == pytest.approx(-0.2)
    assert as_share(-1e9) == -1.0


@pytest.mark.parametrize(
    "option", [{"hidden_size": 0}, {"decay": 1.0}, {"controller_lr": 0.0}, {"weight_entropy": -1.0}]
)
def test_unusable_parameters_are_refused(tiny_space: SearchSpace, option: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(option))):
        Reinforce(Problem(tiny_space), **option)  # type: ignore[arg-type]


def test_policy_comes_to_prefer_the_best_so_far(tiny_space: SearchSpace) -> None:
    best = tiny_space.parse("012")
    chances = []
    for best_weight in (0.0, 1.0):
        strategy = Reinforce(Problem(tiny_space), best_count=1, best_weight=best_weight)
        for number in range(40):
            one = best if number == 0 else tiny_space.sample(Random(number))
            strategy.tell(Outcome(number, one, 90.0 if one == best else 50.0), Random(number))
        steps = zip(best.choices, strategy._policy.probabilities(best.choices), strict=True)
        chances.append(float(np.prod([options[choice] for choice, options in steps])))
    assert chances[1] > 4.0 * chances[0]


@pytest.mark.parametrize("option", ["hidden_size", "best_count"])
def test_sizes_no_memory_has_room_for_are_refused(tiny_space: SearchSpace, option: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{option} is 1000000"):
        Reinforce(Problem(tiny_space), **{option: 1_000_000})
