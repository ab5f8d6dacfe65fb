"""Any of Optuna's samplers as a strategy."""

__all__ = ["SAMPLERS", "OptunaStudy"]

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from random import Random
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.exact_caps import ExactCaps
from fleetnas_controller.strategies.history import History
from fleetnas_controller.strategies.objective import cost_readings, excesses, price_points
from fleetnas_controller.strategies.optuna_storage import RewindableStorage
from fleetnas_controller.strategies.strategy import Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names

_TRIES = 50

_MEMO = "_search_space"
"""Where samplers remember which decisions all trials share. Ours always share all, but a fresh sampler compares each
decision of each trial again: 80 ms at 1,000 trials. Should Optuna rename it, that is the price."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What has to be known of a sampler.

    Attributes:
        make: (seed, population size) -> the sampler.
        ordinal: It needs whole numbers where others take categories.
        constrained: It understands constraints; the others get ``objective.reward``.
        writes: It keeps its state in the trials it proposes, so told trials must have been proposed.
        needs: A package that Optuna does not bring.
    """

    make: Callable[[int, int], BaseSampler]
    ordinal: bool = False
    constrained: bool = False
    writes: bool = False
    needs: str = ""


SAMPLERS: Mapping[str, _Kind] = {
    "bruteforce": _Kind(lambda seed, _: optuna.samplers.BruteForceSampler(seed=seed)),
    "cmaes": _Kind(
        lambda seed, _: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
        ordinal=True,
        writes=True,
        needs="cmaes",
    ),
    "gp": _Kind(
        lambda seed, _: optuna.samplers.GPSampler(seed=seed, deterministic_objective=False),
        ordinal=True,
        constrained=True,
        needs="torch",
    ),
    "nsga2": _Kind(
        lambda seed, size: optuna.samplers.NSGAIISampler(seed=seed, population_size=size),
        constrained=True,
        writes=True,
    ),
    "nsga3": _Kind(
        lambda seed, size: optuna.samplers.NSGAIIISampler(seed=seed, population_size=size),
        constrained=True,
        writes=True,
    ),
    "qmc": _Kind(  # the seed would choose another sequence at each proposal, so it stays
        lambda _seed, _: optuna.samplers.QMCSampler(seed=0, scramble=True, warn_independent_sampling=False),
        ordinal=True,
        writes=True,
    ),
    "random": _Kind(lambda seed, _: optuna.samplers.RandomSampler(seed=seed)),
    "tpe": _Kind(lambda seed, _: optuna.samplers.TPESampler(seed=seed), constrained=True),
}
"""By the name that follows ``optuna-``."""


class OptunaStudy:
    """Asks one of Optuna's samplers, which sees what was told and nothing else.

    Each proposal comes from a fresh sampler seeded by the generator handed in, and what the sampler wrote while
    proposing is taken back; so a search resumes exactly. A proposal that was tried already (where accuracies are
    exact) or that breaks an exact cap gives way to a mutant of itself.

    Args:
        sampler: One of ``SAMPLERS``.
        population_size: Of the genetic samplers.

    Raises:
        NotFoundError: No such sampler; the message names the near ones.
        FailedPreconditionError: The sampler needs a package that is not installed.
    """

    def __init__(self, problem: Problem, *, sampler: str = "tpe", population_size: int = 20) -> None:
        kind = SAMPLERS.get(sampler)
        if kind is None:
            raise NotFoundError(f"Optuna has no sampler '{sampler}' here; {near_names(sampler, SAMPLERS)}")
        if kind.needs and find_spec(kind.needs) is None:
            raise FailedPreconditionError(
                f"strategy 'optuna-{sampler}' needs the package '{kind.needs}'; pip install {kind.needs}"
            )
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._problem = problem
        self._kind = kind
        self._population_size = population_size
        self._history = History(problem)
        self._draws = Draws(problem)
        self._caps = ExactCaps(problem)
        self._distributions: dict[str, BaseDistribution] = {
            f"choice{index:03d}": _distribution(count, ordinal=kind.ordinal)
            for index, count in enumerate(problem.space.option_counts)
        }
        self._memo = optuna.search_space.IntersectionSearchSpace()
        self._storage = RewindableStorage()
        directions = [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * len(problem.costs)]
        self._study = optuna.create_study(storage=self._storage, directions=directions)

    def ask(self, pending: Sequence[Architecture], rng: Random) -> Architecture:
        mark = self._storage.mark()
        with self._sampler(rng):
            for one in pending:
                self._add(self._problem.space.canonical(one), TrialState.RUNNING)
            trial = self._study.ask(self._distributions)
            choices = tuple(int(trial.params[name]) for name in self._distributions)
        self._storage.rewind(mark)
        space = self._problem.space
        proposal = space.canonical(Architecture(space.name, choices, space.reference.resolution_px))
        taken = self._history.taken(pending)
        if proposal.key in taken or self._caps.violation(proposal) > 0.0:
            return self._draws.near(proposal, taken, rng, _TRIES)
        return proposal

    def tell(self, outcome: Outcome, rng: Random) -> None:
        entry = self._history.add(outcome)
        if entry is None:
            return
        value, constraints = entry.reward, dict[str, float]()
        if self._kind.constrained and outcome.accuracy is not None:
            value = outcome.accuracy - (price_points(outcome, self._problem.soft) or 0.0)
            constraints = excesses(outcome, self._problem.caps) or {}
        values = [value, *(reading.value for reading in cost_readings(outcome, self._problem.costs) or ())]
        if not self._kind.writes:
            self._add(entry.architecture, TrialState.COMPLETE, values=values, constraints=constraints)
            return
        with self._sampler(rng):
            self._study.enqueue_trial(self._params(entry.architecture))
            trial = self._study.ask()
            self._propose(trial)
            for name, excess in constraints.items():
                trial.set_constraint(name, excess)
            self._study.tell(trial, values)

    def _propose(self, trial: optuna.Trial) -> None:
        """Lets the sampler write down what it would for a proposal, then takes the enqueued choices instead."""
        _ = trial.relative_params  # sampled when first read, and never where every choice is fixed
        for name, distribution in self._distributions.items():
            if isinstance(distribution, IntDistribution):
                trial.suggest_int(name, distribution.low, distribution.high)
            elif isinstance(distribution, CategoricalDistribution):
                trial.suggest_categorical(name, distribution.choices)

    def _add(self, architecture: Architecture, state: TrialState, **result: Any) -> None:
        self._study.add_trial(
            create_trial(
                state=state, params=self._params(architecture), distributions=self._distributions, **result
            )
        )

    def _params(self, architecture: Architecture) -> dict[str, int]:
        return dict(zip(self._distributions, architecture.choices, strict=True))

    @contextmanager
    def _sampler(self, rng: Random) -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = self._kind.make(rng.getrandbits(31), self._population_size)
            if hasattr(sampler, _MEMO):
                setattr(sampler, _MEMO, self._memo)
            self._study.sampler = sampler
            yield


def _distribution(count: int, *, ordinal: bool) -> BaseDistribution:
    return IntDistribution(0, count - 1) if ordinal else CategoricalDistribution(list(range(count)))
