"""The default strategy: models of accuracy and latency decide what is worth evaluating next."""

__all__ = ["PredictorSearch"]

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.history import History
from fleetnas_controller.strategies.latency_belief import BELIEFS
from fleetnas_controller.strategies.search_models import SearchModels
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names

_PARENTS = 15
_RENEWED = 24
"""Candidates replaced after each trial where the pool is not the whole space; features of more cost too much."""


class PredictorSearch:
    """Expected improvement of the best posterior mean, times the probability that every cap holds.

    Accuracy is a Gaussian process over the space's features with a term for each architecture, latency another
    per device. Where accuracies are noisy an architecture may be evaluated again when a second look is worth
    more than a first one elsewhere, and the last part of a known budget goes to second looks alone. The answer is
    the best posterior mean among architectures whose latency stays under the cap with two standard deviations to
    spare; never the best single observation.

    Args:
        budget: Number of evaluations of the whole search; None: not known, no part is kept for second looks.
        initial_count: Architectures evaluated before the models choose.
        last_share: Part of the budget that is kept for second looks.
        latency_model: ``blocks`` (the latency table's model) or ``features`` (a Gaussian process over the space's
            features). Under a cap of 60 % on NAS-Bench-Macro with latencies made from MACs and 5 % scatter, regret
            at 200 evaluations was .024 with blocks and .087 with features (8 seeds); features cost less, 1.2
            against 3.0 CPU seconds for such a search, and stay cheap at thousands of trials.

    Raises:
        InvalidArgumentError: ``initial_count`` under 2, ``last_share`` outside 0 to 1.
        NotFoundError: No such latency model.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        budget: int | None = None,
        initial_count: int = 12,
        last_share: float = 0.2,
        latency_model: str = "blocks",
    ) -> None:
        if initial_count < 2:
            raise InvalidArgumentError(f"initial_count is {initial_count}; a model needs 2 or more")
        if not 0.0 <= last_share <= 1.0:
            raise InvalidArgumentError(f"last_share is {last_share}; give a share between 0 and 1")
        if latency_model not in BELIEFS:
            raise NotFoundError(f"no latency model '{latency_model}'; {near_names(latency_model, BELIEFS)}")
        self._problem = problem
        self._belief = BELIEFS[latency_model]
        self._initial_count = initial_count
        self._first_looks = math.inf if budget is None else budget - round(budget * last_share)
        self._history = History(problem)
        self._draws = Draws(problem)
        self._evaluated: dict[str, None] = {}
        self._state: SearchModels | None = None

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        reference = self._problem.space.canonical(self._problem.space.reference)
        if not pending and len(self._history) == 0:
            return reference
        models = self._models()
        taken = self._history.taken(pending)
        if len(self._evaluated) + len(pending) < self._initial_count or len(models.accuracy) < 2:
            seen = taken | self._history.finished
            left = [one for one in models.design if one.key not in seen]
            return left[0] if left else self._draws.fresh(seen, rng)
        allowed = self._allowed(models, taken, pending)
        if not allowed.any():
            return self._draws.fresh(taken, rng)
        return models.best(allowed, models.candidates.mask(self._evaluated), pending)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        if outcome.number in self._history:
            return
        self._history.add(outcome)
        models = self._models()
        architecture = self._history.own(outcome.architecture)
        models.renew([architecture], models.leaving(self._evaluated, 1, rng))
        models.observe(architecture, outcome)
        if outcome.accuracy is not None:
            self._evaluated[architecture.key] = None
        if not models.candidates.whole:
            relatives = models.candidates.relatives(models.parents(self._evaluated, _PARENTS), _RENEWED, rng)
            models.renew(relatives, models.leaving(self._evaluated, _RENEWED, rng))

    def rank(self) -> Sequence[Architecture]:
        """See ``Ranks``."""
        return self._models().ranked(self._evaluated)

    def _models(self) -> SearchModels:
        if self._state is None:
            self._state = SearchModels(self._problem, self._initial_count, self._belief)
        return self._state

    def _allowed(
        self, models: SearchModels, taken: set[str], pending: Sequence[Architecture]
    ) -> NDArray[np.bool_]:
        """Candidates that may be proposed now; in the last part of the budget only evaluated ones."""
        allowed = models.candidates.allowed & ~models.candidates.mask(taken)
        second = allowed & models.candidates.mask(self._evaluated)
        late = len(self._history) + len(pending) >= self._first_looks
        return second if self._problem.accuracy_noise and late and second.any() else allowed
