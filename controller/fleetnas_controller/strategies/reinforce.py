"""REINFORCE on an LSTM, with the parameters of PaddleSlim's RLNAS by their names."""

__all__ = ["Reinforce"]

import heapq
import math
from collections.abc import Sequence
from random import Random

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import Evaluated, History
from fleetnas_controller.strategies.lstm_policy import LstmPolicy
from fleetnas_controller.strategies.objective import as_share
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

_WIDEST = 4096
_MOST_BEST = 1000
_TRIES = 20
"""Draws from the policy before a neighbour of the last one is taken."""


class Reinforce:
    """An LSTM draws architectures; each told one becomes likelier or rarer as it beat the average reward or not.

    Rewards are shares of 1, as PaddleSlim's users give them, and below 0 where a cap is broken. Every trial moves the
    policy, whoever proposed it, and after each it is moved once more, towards one drawn from the best of all so far.
    Nothing seen is lost: the answer is the best of all trials, not what the policy has come to prefer.

    Args:
        hidden_size: Width of the LSTM.
        controller_lr: Learning rate of Adam. PaddleSlim's 1e-4 learns nothing in some hundred trials.
        decay: Of the average reward, the baseline, which starts at the first reward.
        weight_entropy: What the entropy of all decisions is worth beside the reward: the higher, the longer it
            explores. PaddleSlim adds the surprise of the *drawn* options to the reward instead.
        temperature, tanh_constant: See ``LstmPolicy``; 0: no bound on the logits.
        best_count: Of so many different architectures, the best so far, one is drawn.
        best_weight: What its log-probability is worth beside a reward; 0: the policy learns from rewards alone.

    Raises:
        InvalidArgumentError: A parameter out of range.

    Source: Williams, "Simple Statistical Gradient-Following Algorithms", Machine Learning 8 (1992); the best so far:
    Abolafia et al., "Neural Program Synthesis with Priority Queue Training", arXiv:1801.03526 (2018).
    """

    def __init__(
        self,
        problem: Problem,
        *,
        hidden_size: int = 100,
        controller_lr: float = 3e-3,
        decay: float = 0.9,
        weight_entropy: float = 1e-3,
        temperature: float = 1.0,
        tanh_constant: float = 0.0,
        best_count: int = 10,
        best_weight: float = 1.0,
    ) -> None:
        if not 1 <= hidden_size <= _WIDEST or not 0.0 <= decay < 1.0:
            raise InvalidArgumentError(
                f"hidden_size is {hidden_size}, decay {decay}; give 1 to {_WIDEST}, and a number from 0 to below 1"
            )
        if not (1 <= best_count <= _MOST_BEST and 0.0 <= best_weight < math.inf):
            raise InvalidArgumentError(
                f"best_count is {best_count}, best_weight {best_weight}; give 1 to {_MOST_BEST}, and 0 or more"
            )
        if not (0.0 < controller_lr < math.inf and 0.0 < temperature < math.inf):
            raise InvalidArgumentError(
                f"controller_lr is {controller_lr}, temperature {temperature}; both must be above zero"
            )
        if not (0.0 <= weight_entropy < math.inf and 0.0 <= tanh_constant < math.inf):
            raise InvalidArgumentError(
                f"weight_entropy is {weight_entropy}, tanh_constant {tanh_constant}; neither may be negative"
            )
        self._space = problem.space
        self._history = History(problem)
        self._draws = Draws(problem)
        self._policy = LstmPolicy(
            problem.space.option_counts,
            hidden_size=hidden_size,
            temperature=temperature,
            tanh_constant=tanh_constant or None,
        )
        self._rate = controller_lr
        self._decay = decay
        self._entropy = weight_entropy
        self._baseline: float | None = None
        self._best_count = best_count
        self._best_weight = best_weight
        self._rewards: dict[str, tuple[float, Architecture]] = {}

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        taken = self._history.taken(pending)
        reference = self._space.canonical(self._space.reference)
        if not taken and not self._history.finished:
            return reference
        last = reference

        def draw() -> Architecture:
            nonlocal last
            choices = self._policy.sample(rng)
            last = Architecture(self._space.name, choices, reference.resolution_px)
            return last

        found = self._draws.first(draw, taken, _TRIES)
        if found is not None and self._draws.keeps(found):
            return found
        return self._draws.near(self._space.canonical(last), taken, rng, _TRIES)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        entry = self._history.add(outcome)
        if entry is None:
            return
        share = as_share(entry.reward)
        baseline = share if self._baseline is None else self._baseline
        self._policy.reinforce(entry.architecture.choices, share - baseline, self._entropy, self._rate)
        self._baseline = self._decay * baseline + (1.0 - self._decay) * share
        if self._best_weight > 0.0:
            best = self._best(entry)
            self._policy.reinforce(rng.choice(best).choices, self._best_weight, self._entropy, self._rate)

    def _best(self, entry: Evaluated) -> list[Architecture]:
        """The best so far, each by its latest reward, so that a lucky one of noisy rewards does not stay for ever."""
        self._rewards[entry.architecture.key] = (entry.reward, entry.architecture)
        best = heapq.nlargest(self._best_count, self._rewards.items(), key=lambda one: one[1][0])
        return [architecture for _, (_, architecture) in best]
