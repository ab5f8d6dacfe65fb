"""The search loop: ask, measure, evaluate, store, tell; then confirm the best."""

__all__ = ["Search", "SearchOutcome"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from fleetnas_controller.caps import CapState, limits, report_caps, soft_limits
from fleetnas_controller.evaluation import Evaluation, told_accuracy
from fleetnas_controller.jobs import Selector
from fleetnas_controller.learned_latencies import LearnedLatencies
from fleetnas_controller.objectives import costs, worst_accuracy_percent
from fleetnas_controller.outcomes import outcome_of, scaled_readings
from fleetnas_controller.ranking import (
    answer,
    front_observed,
    never_finished,
    next_confirmation,
    next_of_front,
    rank_observed,
)
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import (
    Cap,
    Cost,
    LearnsBefore,
    Outcome,
    Problem,
    Ranks,
    Reading,
    SoftCap,
    Strategy,
)
from fleetnas_controller.trial_runner import MeasuringFleet, NetworkFiles, Observer, TrialRunner
from fleetnas_controller.trials import Trial, TrialPhase, Trials, TrialState
from fleetnas_controller.warm_start import EarlierTrials
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import UnavailableError
from fleetnas_training.accuracy import AccuracySource


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """How a search ended.

    Attributes:
        soft: Soft caps, whose prices the ranking counts.
        found: Text form of the answer; None when no confirmed architecture keeps the caps.
        ranking: Evaluated architectures in text form, the best first.
        front: Text forms of the front by descending accuracy, where one was searched.
        hopeless_device: The device whose latency cap no network can keep, so that the search ended early; else empty.
        reference_ms: By device, the reference's latency at the start; what relative caps were shares of.
    """

    found: str | None
    ranking: tuple[str, ...]
    caps: tuple[Cap, ...]
    reference_ms: Mapping[str, float]
    trials: tuple[Trial, ...]
    front: tuple[str, ...] = ()
    soft: tuple[SoftCap, ...] = ()
    hopeless_device: str = ""


class Search:
    """Runs one search to its end, from wherever its stored trials stand.

    Every step is stored before the next begins. A killed search goes on by telling a fresh strategy the stored
    trials in the order they finished; trials that were proposed and not finished are asked for again under the
    same measurement ids, so that the fleet answers with what it has. All randomness is drawn from the seed and
    the trial's number, none is carried over.

    Args:
        make_strategy: Gets the problem, once the reference is measured and the caps have their units.
        now_s: Seconds since 1970.
        plan_of: The measurement plan for a device in a phase.
        silent: Called whenever no measurement has ended for a minute; raises when there is nothing to wait for.
    """

    def __init__(
        self,
        config: SearchConfig,
        *,
        space: SearchSpace,
        accuracy: AccuracySource,
        make_strategy: Callable[[Problem], Strategy],
        trials: Trials,
        fleet: MeasuringFleet,
        files: NetworkFiles,
        plan_of: Callable[[str, TrialPhase], Plan],
        selectors: Mapping[str, Selector],
        observer: Observer,
        now_s: Callable[[], float],
        silent: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._space = space
        self._evaluation = Evaluation(accuracy, space, config.early_stop)
        self._make_strategy = make_strategy
        self._latencies = LearnedLatencies(space, config.devices)
        self._reference_ms: dict[str, float] = {}
        self._runner = TrialRunner(
            config,
            space=space,
            evaluation=self._evaluation,
            trials=trials,
            fleet=fleet,
            files=files,
            plan_of=plan_of,
            selectors=selectors,
            observer=observer,
            now_s=now_s,
            silent=silent,
            predicted_ms=lambda architecture: self._latencies.predicted_ms(architecture),
            learn=self._learn,
        )

    def run(self, capacity: int = 1) -> SearchOutcome:
        """Runs to the end.

        Args:
            capacity: Trials under evaluation at once, at most.

        Raises:
            UnavailableError: The reference could not be measured, or the fleet is gone; resume later.
        """
        reference = self._space.canonical(self._space.reference)
        self._runner.run(TrialPhase.REFERENCE, 1, lambda: reference)
        earlier = self._take_reference()
        caps = limits(self._config, self._reference_ms)
        problem = Problem(
            self._space,
            caps,
            accuracy_noise=self._evaluation.noisy,
            costs=costs(self._config),
            worst_accuracy=worst_accuracy_percent(self._config),
            soft=soft_limits(self._config),
        )
        strategy = self._make_strategy(problem)
        self._tell_earlier(strategy, earlier)
        for trial in self._runner.ended(TrialPhase.REFERENCE, TrialPhase.SEARCH):
            self._tell(strategy, trial)
        first = earlier.first(problem)

        def propose() -> Architecture:
            begun = self._runner.count(TrialPhase.SEARCH)
            if begun < len(first):
                return first[begun]
            return strategy.ask(self._runner.under_evaluation(), self._rng("ask", len(self._runner)))

        self._runner.run(
            TrialPhase.SEARCH,
            self._config.searching_count - 1,
            propose,
            capacity=capacity,
            ended=lambda trial: self._tell(strategy, trial),
            given_up=self._hopeless,
        )
        known = [*earlier.whole, *self._runner.ended(TrialPhase.REFERENCE, TrialPhase.SEARCH)]
        outcomes = [self._outcome(one) for one in known]
        ranking = self._ranking(strategy, outcomes, problem)
        front = self._front(outcomes, caps, problem.costs)
        self._confirm(ranking, front)
        confirmations = self._runner.ended(TrialPhase.CONFIRM)
        return SearchOutcome(
            found=answer(ranking, confirmations, self._keeps),
            ranking=ranking,
            caps=caps,
            reference_ms=dict(self._reference_ms),
            trials=self._runner.trials,
            front=front,
            soft=problem.soft,
            hopeless_device=self._latencies.hopeless_device,
        )

    def _confirm(self, ranking: Sequence[str], front: Sequence[str]) -> None:
        """Measures the best again, alone and longer, until one is sure or the budget is spent; of a front, many."""

        def following() -> str | None:
            done = self._runner.ended(TrialPhase.CONFIRM)
            if front:
                return next_of_front(front, done, self._config.confirming_count)
            return next_confirmation(ranking, done, self._keeps)

        if self._hopeless():
            return
        for begun in range(1, self._config.confirming_count + 1):
            text = following()
            known = self._runner.count(TrialPhase.CONFIRM)
            if text is None and known < begun:
                return
            proposed = self._space.parse(text or ranking[0])
            count = max(begun, known)
            self._runner.run(TrialPhase.CONFIRM, count, lambda: proposed, given_up=self._hopeless)  # noqa: B023

    def _hopeless(self) -> bool:
        return bool(self._latencies.hopeless_device)

    def _keeps(self, confirmations: Sequence[Trial]) -> bool:
        reports = report_caps(self._config, confirmations)
        return all(one.state is CapState.KEPT for one in reports)

    def _take_reference(self) -> EarlierTrials:
        """Takes the measured reference as the scale of latencies, and what holds of the earlier trials on it."""
        trial = self._runner[0]
        faults = {device: one.reason for device, one in trial.readings.items() if one.latency_ms is None}
        if trial.state is TrialState.FAILED or faults:
            raise UnavailableError(
                f"the reference network could not be evaluated ({trial.fault or faults}). "
                "See 'fleetnas device list', mend it, and start the search under a new name."
            )
        for device, reading in trial.readings.items():
            assert reading.latency_ms is not None  # no fault, so there is one
            self._reference_ms[device] = reading.latency_ms.value
        caps = limits(self._config, self._reference_ms)
        self._latencies = LearnedLatencies(self._space, self._config.devices, caps)
        stored = self._runner.ended(TrialPhase.EARLIER)
        earlier = EarlierTrials(self._config, self._space, stored, trial, self._reference_ms)
        self._runner.take_in(earlier.usable)
        for one in self._runner.ended(TrialPhase.EARLIER, TrialPhase.REFERENCE, TrialPhase.SEARCH):
            self._learn(one)
        return earlier

    def _tell_earlier(self, strategy: Strategy, earlier: EarlierTrials) -> None:
        for trial in earlier.usable:
            if isinstance(strategy, LearnsBefore):
                strategy.learn(self._outcome(trial), self._rng("tell", trial.number))
            elif earlier.lacks_nothing(trial):
                self._tell(strategy, trial)

    def _tell(self, strategy: Strategy, trial: Trial) -> None:
        outcome = replace(self._outcome(trial), accuracy=told_accuracy(trial))
        strategy.tell(outcome, self._rng("tell", trial.number))

    def _outcome(self, trial: Trial) -> Outcome:
        return outcome_of(self._space, trial, self._readings(trial))

    def _readings(self, trial: Trial) -> dict[str, Reading]:
        return scaled_readings(trial, self._reference_ms)

    def _learn(self, trial: Trial) -> None:
        if not self._reference_ms:
            return
        self._evaluation.learn(trial)
        self._latencies.learn(self._space.parse(trial.architecture), self._readings(trial))

    def _ranking(self, strategy: Strategy, outcomes: Sequence[Outcome], problem: Problem) -> tuple[str, ...]:
        if isinstance(strategy, Ranks):
            ranked = (self._space.format(one) for one in strategy.rank())
            stopped = never_finished(self._runner.trials)
            return tuple(text for text in ranked if text not in stopped)
        text_of = {one.architecture.key: self._space.format(one.architecture) for one in outcomes}
        return tuple(text_of[key] for key in rank_observed(outcomes, problem.caps, problem.soft))

    def _front(
        self, outcomes: Sequence[Outcome], caps: Sequence[Cap], axes: Sequence[Cost]
    ) -> tuple[str, ...]:
        if not axes:
            return ()
        text_of = {one.architecture.key: self._space.format(one.architecture) for one in outcomes}
        return tuple(text_of[key] for key in front_observed(outcomes, caps, axes))

    def _rng(self, purpose: str, number: int) -> Random:
        return Random(f"{self._config.seed}/{purpose}/{number}")
