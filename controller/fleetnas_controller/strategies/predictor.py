"""The default strategy: models of accuracy and latency decide what is worth evaluating next."""

__all__ = ["PredictorSearch"]

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.front import Front
from fleetnas_controller.strategies.history import History
from fleetnas_controller.strategies.latency_belief import BELIEFS
from fleetnas_controller.strategies.objective import settled
from fleetnas_controller.strategies.search_models import SearchModels
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names

_PARENTS = 15
_AUTO = {True: "features", False: "switching"}
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
        latency_model: ``auto``, or one of ``latency_belief.BELIEFS``: ``blocks`` (the latency table's model),
            ``features`` (a Gaussian process), ``switching`` (from one to the other as networks get many). ``auto``
            is ``features`` for a front, which wants a model at all latencies, and else ``switching``.
        design_seed: Draws one of the architectures begun with; searches of an exact source are all alike without.

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
        latency_model: str = "auto",
        design_seed: int | None = None,
    ) -> None:
        if initial_count < 2:
            raise InvalidArgumentError(f"initial_count is {initial_count}; a model needs 2 or more")
        if not 0.0 <= last_share <= 1.0:
            raise InvalidArgumentError(f"last_share is {last_share}; give a share between 0 and 1")
        known = ("auto", *BELIEFS)
        if latency_model not in known:
            raise NotFoundError(f"no latency model '{latency_model}'; {near_names(latency_model, known)}")
        self._problem = problem
        self._belief = BELIEFS[_AUTO[bool(problem.costs)] if latency_model == "auto" else latency_model]
        self._initial_count = initial_count
        self._design_seed = design_seed
        self._first_looks = math.inf if budget is None else budget - round(budget * last_share)
        self._history = History(problem)
        self._draws = Draws(problem)
        self._evaluated: dict[str, None] = {}
        self._state: SearchModels | None = None
        self._front: Front | None = None

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
        evaluated = models.candidates.mask(self._evaluated)
        if self._front is not None:
            return self._front.best(allowed, evaluated, pending)
        return models.best(allowed, evaluated, pending)

    def learn(self, outcome: Outcome, rng: Random) -> None:
        """See ``LearnsBefore``: whole trials count as evaluated, the others teach the models what they hold."""
        if outcome.number in self._history:
            return
        if settled(outcome, self._problem):
            self._first_looks += 1
            self.tell(outcome, rng)
        else:
            self._observe(outcome, rng)

    def tell(self, outcome: Outcome, rng: Random) -> None:
        if outcome.number in self._history:
            return
        self._history.add(outcome)
        models = self._models()
        architecture = self._observe(outcome, rng)
        if self._front is not None:
            self._front.observe(outcome)
        if outcome.accuracy is not None:
            self._evaluated[architecture.key] = None
        if not models.candidates.whole:
            self._renew(models.candidates.relatives(self.rank()[:_PARENTS], _RENEWED, rng), rng)

    def rank(self) -> Sequence[Architecture]:
        """See ``Ranks``; of a front its members come first, by accuracy."""
        models = self._models()
        return (self._front or models).ranked(self._evaluated)

    def _observe(self, outcome: Outcome, rng: Random) -> Architecture:
        """Lets the models learn what the outcome holds; returns its architecture, canonical."""
        architecture = self._history.own(outcome.architecture)
        self._renew([architecture], rng)
        self._models().observe(architecture, outcome)
        return architecture

    def _models(self) -> SearchModels:
        if self._state is None:
            self._state = SearchModels(self._problem, self._initial_count, self._design_seed, self._belief)
            if self._problem.costs:
                self._front = Front(self._problem, self._state, self._initial_count)
        return self._state

    def _renew(self, newcomers: Sequence[Architecture], rng: Random) -> None:
        """Lets newcomers into a pool that is not the whole space, for the least promising."""
        models = self._models()
        if models.candidates.whole:
            return
        merit = models.merit()
        if self._front is not None:
            merit = self._front.merit(models.candidates.mask(self._evaluated))
        models.renew(newcomers, models.leaving(merit, self._evaluated, len(newcomers), rng))

    def _allowed(
        self, models: SearchModels, taken: set[str], pending: Sequence[Architecture]
    ) -> NDArray[np.bool_]:
        """Candidates that may be proposed now; in the last part of the budget only evaluated ones."""
        allowed = models.candidates.allowed & ~models.candidates.mask(taken)
        second = allowed & models.candidates.mask(self._evaluated)
        late = len(self._history) + len(pending) >= self._first_looks
        return second if self._problem.accuracy_noise and late and second.any() else allowed
