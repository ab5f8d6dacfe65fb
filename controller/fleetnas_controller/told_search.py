"""A search whose architectures somebody else evaluates: propose, tell, and nothing is lost in between."""

__all__ = ["ToldSearch"]

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from fleetnas_controller.caps import limits, soft_limits
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import ToldLatency, search_name
from fleetnas_controller.search_store import SearchStore, ToldTrial
from fleetnas_controller.strategies.exact_caps import exact_counts
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import CapKind, Outcome, Problem, Reading
from fleetnas_controller.trials import TrialState
from fleetnas_controller.warm_start import start_architectures
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)

_MAX_WORKER = 120
_MAX_FAULT = 500


class ToldSearch:
    """One open search. Every step is stored before it is answered.

    The strategy is told the stored trials again in the order they ended, so that a controller which was killed
    goes on as the unbroken one would.

    Args:
        now_s: Seconds since 1970.

    Raises:
        NotFoundError, InvalidArgumentError, FailedPreconditionError: No such space or strategy, an option it does
            not have, or a cap that needs a measured reference.
    """

    def __init__(
        self, config: SearchConfig, space: SearchSpace, store: SearchStore, now_s: Callable[[], float]
    ) -> None:
        if config.latency_drop is not None:
            raise InvalidArgumentError(
                "a latency drop is relative to a reference that the controller measures, and in this search it "
                "measures nothing: give max_latency_ms instead."
            )
        self._config = config
        self._name = search_name(config.name)
        self._space = space
        self._store = store
        self._now_s = now_s
        if config.warm_start:
            raise InvalidArgumentError(
                f"the latencies of '{config.warm_start}' are of no use where the controller measures nothing: leave "
                "warm_start out, and give its best networks as start_from."
            )
        if config.early_stop:
            raise InvalidArgumentError(
                f"the early stop '{config.early_stop}' is for trainings that the search follows, and here a client "
                "trains: leave early_stop out."
            )
        self._first = start_architectures(config, space)
        caps = limits(config, {})
        self._counted = any(one.kind is not CapKind.LATENCY_MS for one in caps)
        soft = soft_limits(config)
        self._priced = bool(soft) or any(one.kind is CapKind.LATENCY_MS for one in caps)
        problem = Problem(space, caps, accuracy_noise=True, soft=soft)
        self._strategy = create_strategy(
            config.strategy, problem, budget=config.budget, options=config.strategy_options
        )
        self._open: dict[int, tuple[ToldTrial, Architecture]] = {}
        self._of_worker: dict[str, int] = {}
        self._count = self._ended_count = 0
        self._chosen: Architecture | None = None
        self.turn = asyncio.Lock()
        """Held by whoever proposes or tells while others are served, for neither may happen within the other."""
        self._restore(store.trials(self._name))

    @property
    def trial_count(self) -> int:
        return self._count

    @property
    def ended_count(self) -> int:
        return self._ended_count

    @property
    def complete(self) -> bool:
        """Whether the whole budget was evaluated."""
        return self._ended_count >= self._config.budget

    def prepare(self, worker: str = "") -> None:
        """Chooses what ``propose`` will answer, which may take seconds. In any thread: the store is left alone."""
        if worker not in self._of_worker and self._count < self._config.budget:
            self._next()

    def propose(self, worker: str = "") -> ToldTrial:
        """A trial to evaluate: the one that ``worker`` holds, or a new one.

        Raises:
            ResourceExhaustedError: The whole budget is proposed.
            InvalidArgumentError: The worker's name is too long.
        """
        if len(worker) > _MAX_WORKER:
            raise InvalidArgumentError(
                f"`worker` ({len(worker)} characters) must have {_MAX_WORKER} at most."
            )
        if worker in self._of_worker:
            return self._open[self._of_worker[worker]][0]
        if self._count >= self._config.budget:
            raise ResourceExhaustedError(
                f"the search '{self._config.name}' has proposed its whole budget of {self._config.budget}. "
                "Tell what is open, or create a search with a larger budget."
            )
        architecture = self._next()
        trial = ToldTrial(self._count, self._space.format(architecture), worker)
        if self._counted:
            graph = self._space.graph(architecture)
            trial = replace(trial, macs=macs(graph), params=params(graph))
        self._store.put_trial(self._name, trial)
        self._chosen = None
        self._count += 1
        self._hold(trial, architecture)
        return trial

    def tell(
        self,
        number: int,
        accuracy: float | None,
        latencies: Sequence[ToldLatency] = (),
        fault: str = "",
    ) -> ToldTrial:
        """How a trial ended. Told twice, the first counts; the trial as it is then is returned.

        Raises:
            NotFoundError: No such trial.
            InvalidArgumentError: Neither accuracy nor fault, or a number that is none.
        """
        if number not in self._open:
            known = self._store.trial(self._name, number)
            if known is None:
                raise NotFoundError(
                    f"the search '{self._config.name}' has no trial {number}, it has {self._count}. Propose first."
                )
            return known
        self._check(accuracy, latencies, fault)
        trial, architecture = self._open[number]
        ended = replace(
            trial,
            state=TrialState.FAILED if accuracy is None else TrialState.FINISHED,
            order=self._ended_count,
            accuracy=accuracy,
            latencies=tuple(latencies),
            fault=fault[:_MAX_FAULT],
            finish_time=self._now_s(),
        )
        self._store.put_trial(self._name, ended)
        del self._open[number]
        self._of_worker.pop(trial.worker, None)
        self._ended_count += 1
        self._chosen = None
        self._tell(ended, architecture)
        return ended

    def _next(self) -> Architecture:
        """The same until something is stored."""
        if self._chosen is None:
            self._chosen = self._choose()
        return self._chosen

    def _choose(self) -> Architecture:
        if self._count < len(self._first):
            return self._first[self._count]
        pending = [architecture for _, architecture in self._open.values()]
        return self._strategy.ask(pending, self._rng("ask", self._count))

    def _restore(self, trials: Sequence[ToldTrial]) -> None:
        for trial in trials:
            if trial.state is TrialState.PROPOSED:
                self._hold(trial, self._space.parse(trial.architecture))
        ended = sorted((one for one in trials if one.order >= 0), key=lambda one: one.order)
        for trial in ended:
            self._tell(trial, self._space.parse(trial.architecture))
        self._count, self._ended_count = len(trials), len(ended)

    def _hold(self, trial: ToldTrial, architecture: Architecture) -> None:
        self._open[trial.number] = (trial, architecture)
        if trial.worker:
            self._of_worker[trial.worker] = trial.number

    def _tell(self, trial: ToldTrial, architecture: Architecture) -> None:
        readings = {one.device: Reading(one.latency_ms, one.std_ms) for one in trial.latencies}
        counts = exact_counts(self._space.graph(architecture)) if self._counted else {}
        outcome = Outcome(trial.number, architecture, trial.accuracy, readings, **counts)
        self._strategy.tell(outcome, self._rng("tell", trial.number))

    def _check(self, accuracy: float | None, latencies: Sequence[ToldLatency], fault: str) -> None:
        if accuracy is None and not fault:
            raise InvalidArgumentError("the trial has neither an accuracy nor a fault. Tell one of them.")
        if accuracy is not None and not (math.isfinite(accuracy) and 0.0 <= accuracy <= 100.0):
            raise InvalidArgumentError(f"`accuracy` (={accuracy:g}) must be a percentage, from 0 to 100.")
        for one in latencies:
            if one.device not in self._config.devices:
                raise InvalidArgumentError(
                    f"a latency on '{one.device}' was told, the search is about {', '.join(self._config.devices)}."
                )
            if not (math.isfinite(one.latency_ms) and one.latency_ms > 0.0 and 0.0 <= one.std_ms < math.inf):
                raise InvalidArgumentError(
                    f"the latency on '{one.device}' is {one.latency_ms:g} +- {one.std_ms:g} ms: give a finite "
                    "number above zero, and a deviation of 0 or more."
                )
        missing = set(self._config.devices) - {one.device for one in latencies}
        if self._priced and accuracy is not None and missing:
            raise FailedPreconditionError(
                f"the search has a latency cap, and no latency on {', '.join(sorted(missing))} was told. Measure it."
            )

    def _rng(self, purpose: str, number: int) -> Random:
        return Random(f"{self._config.seed}/{purpose}/{number}")
