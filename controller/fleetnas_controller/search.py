"""The search loop: ask, measure, evaluate, store, tell; then confirm the best."""

__all__ = ["MeasuringFleet", "NetworkFiles", "Observer", "Search", "SearchOutcome"]

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from fleetnas_controller.caps import CapState, limits, report_caps, soft_limits
from fleetnas_controller.evaluation import Evaluation, told_accuracy
from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.learned_latencies import LearnedLatencies
from fleetnas_controller.objectives import costs, worst_accuracy_percent
from fleetnas_controller.outcomes import outcome_of, scaled_readings
from fleetnas_controller.pending_trial import PendingTrial
from fleetnas_controller.ranking import (
    answer,
    front_observed,
    next_confirmation,
    next_of_front,
    rank_observed,
)
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.exact_caps import exact_counts
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
from fleetnas_controller.trials import Trial, TrialPhase, Trials, TrialState
from fleetnas_controller.warm_start import EarlierTrials
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import UnavailableError
from fleetnas_training.accuracy import AccuracySource

_WAIT_S = 60.0


class MeasuringFleet(Protocol):
    """The part of the fleet's client that a search uses."""

    def create_measurement(self, request: MeasurementRequest) -> MeasurementRecord: ...

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]: ...


class NetworkFiles(Protocol):
    """Turns an architecture into files that the fleet has."""

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        """Returns the path of the network and all files it needs, itself included."""
        ...


class Observer(Protocol):
    """Is told how a search goes on: progress bars, logs, the shared latency table."""

    def proposed(self, trial: Trial) -> None: ...

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None: ...


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
        self._trials = trials
        self._fleet = fleet
        self._files = files
        self._plan_of = plan_of
        self._begin_time = now_s()
        self._selectors = selectors
        self._observer = observer
        self._now_s = now_s
        self._silent = silent
        self._all: dict[int, Trial] = {one.number: one for one in trials.trials(config.name)}
        self._pending: dict[int, PendingTrial] = {}
        self._records: dict[int, list[MeasurementRecord]] = {}
        self._latencies = LearnedLatencies(space, config.devices)
        self._reference_ms: dict[str, float] = {}

    def run(self, capacity: int = 1) -> SearchOutcome:
        """Runs to the end.

        Args:
            capacity: Trials under evaluation at once, at most.

        Raises:
            UnavailableError: The reference could not be measured, or the fleet is gone; resume later.
        """
        reference = self._space.canonical(self._space.reference)
        self._run_phase(TrialPhase.REFERENCE, 1, 1, lambda: reference)
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
        for trial in self._in_order(TrialPhase.REFERENCE, TrialPhase.SEARCH):
            self._tell(strategy, trial)
        first = earlier.first(problem)

        def propose() -> Architecture:
            begun = sum(one.phase is TrialPhase.SEARCH for one in self._all.values())
            if begun < len(first):
                return first[begun]
            return strategy.ask(self._under_evaluation(), self._rng("ask", len(self._all)))

        self._run_phase(
            TrialPhase.SEARCH,
            self._config.searching_count - 1,
            capacity,
            propose,
            lambda trial: self._tell(strategy, trial),
        )
        known = [*earlier.whole, *self._in_order(TrialPhase.REFERENCE, TrialPhase.SEARCH)]
        outcomes = [self._outcome(one) for one in known]
        ranking = self._ranking(strategy, outcomes, problem)
        front = self._front(outcomes, caps, problem.costs)
        self._confirm(ranking, front)
        confirmations = self._in_order(TrialPhase.CONFIRM)
        return SearchOutcome(
            found=answer(ranking, confirmations, self._keeps),
            ranking=ranking,
            caps=caps,
            reference_ms=dict(self._reference_ms),
            trials=tuple(self._all[number] for number in sorted(self._all)),
            front=front,
            soft=problem.soft,
            hopeless_device=self._latencies.hopeless_device,
        )

    def _run_phase(
        self,
        phase: TrialPhase,
        count: int,
        capacity: int,
        propose: Callable[[], Architecture],
        ended: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        """Evaluates until the phase has ``count`` trials, all of them ended."""
        for trial in [one for one in self._all.values() if one.phase is phase]:
            if trial.state is TrialState.PROPOSED:
                self._begin(trial)
        while True:
            begun = sum(one.phase is phase for one in self._all.values())
            while len(self._pending) < capacity and begun < count and not self._latencies.hopeless_device:
                self._begin(self._propose(phase, propose()))
                begun += 1
            if not self._pending:
                return
            for trial in self._collect():
                ended(trial)

    def _propose(self, phase: TrialPhase, architecture: Architecture) -> Trial:
        graph = self._space.graph(architecture)
        trial = Trial(
            number=0 if phase is TrialPhase.REFERENCE else len(self._all),  # earlier ones begin at 1
            phase=phase,
            architecture=self._space.format(architecture),
            **exact_counts(graph),
            predicted_ms=self._latencies.predicted_ms(architecture),
        )
        self._trials.propose(self._config.name, trial)
        self._all[trial.number] = trial
        return trial

    def _begin(self, trial: Trial) -> None:
        entry, files = self._files.upload(self._space.parse(trial.architecture))
        anchor, anchor_files = self._files.upload(self._space.canonical(self._space.reference))

        def request(device: str, attempt: int) -> str:
            identifier = f"{self._config.name}-{trial.number:05d}-{_plain(device)}-{attempt}"
            record = self._fleet.create_measurement(
                MeasurementRequest(
                    measurement_id=identifier,
                    files=tuple(dict.fromkeys((*files, *anchor_files))),
                    entry_file=entry,
                    anchor_entry_file=anchor,
                    plan=self._plan_of(device, trial.phase),
                    selector=self._selectors[device],
                    labels=(("search", self._config.name), ("trial", str(trial.number))),
                )
            )
            return record.name

        self._pending[trial.number] = PendingTrial(trial, self._config.devices, request, self._begin_time)
        self._observer.proposed(trial)

    def _collect(self) -> list[Trial]:
        """Waits for measurements and returns the trials that ended with them, stored."""
        names = [name for one in self._pending.values() for name in one.names]
        ended: list[Trial] = []
        records = self._fleet.wait_any(names, _WAIT_S)
        if not records:
            self._silent()
        for record in records:
            number = next(number for number, one in self._pending.items() if record.name in one.names)
            pending = self._pending[number]
            pending.accept(record)
            self._records.setdefault(number, []).append(record)
            if pending.complete:
                del self._pending[number]
                trial = self._trials.finish(self._config.name, self._evaluated(pending))
                self._all[number] = trial
                self._learn(trial)
                self._observer.finished(trial, self._records.pop(number))
                ended.append(trial)
        return ended

    def _evaluated(self, pending: PendingTrial) -> Trial:
        trial, faults = pending.trial, pending.faults()
        done = replace(trial, readings=dict(pending.readings))
        if faults:
            fault = "; ".join(f"{device}: {reason}" for device, reason in faults.items())
            return replace(done, state=TrialState.FAILED, fault=fault, finish_time=self._now_s())
        return replace(self._evaluation.evaluated(done), finish_time=self._now_s())

    def _confirm(self, ranking: Sequence[str], front: Sequence[str]) -> None:
        """Measures the best again, alone and longer, until one is sure or the budget is spent; of a front, many."""

        def following() -> str | None:
            done = self._in_order(TrialPhase.CONFIRM)
            if front:
                return next_of_front(front, done, self._config.confirming_count)
            return next_confirmation(ranking, done, self._keeps)

        if self._latencies.hopeless_device:
            return
        for begun in range(1, self._config.confirming_count + 1):
            text = following()
            known = sum(one.phase is TrialPhase.CONFIRM for one in self._all.values())
            if text is None and known < begun:
                return
            proposed = self._space.parse(text or ranking[0])
            self._run_phase(TrialPhase.CONFIRM, max(begun, known), 1, lambda: proposed)  # noqa: B023

    def _keeps(self, confirmations: Sequence[Trial]) -> bool:
        reports = report_caps(self._config, confirmations)
        return all(one.state is CapState.KEPT for one in reports)

    def _take_reference(self) -> EarlierTrials:
        """Takes the measured reference as the scale of latencies, and what holds of the earlier trials on it."""
        trial = self._all[0]
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
        stored = self._in_order(TrialPhase.EARLIER)
        earlier = EarlierTrials(self._config, self._space, stored, trial, self._reference_ms)
        self._all.update({one.number: one for one in earlier.usable})
        for one in self._in_order(TrialPhase.EARLIER, TrialPhase.REFERENCE, TrialPhase.SEARCH):
            self._learn(one)
        return earlier

    def _in_order(self, *phases: TrialPhase) -> list[Trial]:
        """Ended trials of these phases, in the order they ended."""
        ended = [one for one in self._all.values() if one.phase in phases and one.order >= 0]
        return sorted(ended, key=lambda one: one.order)

    def _under_evaluation(self) -> list[Architecture]:
        return [self._space.parse(one.trial.architecture) for _, one in sorted(self._pending.items())]

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
            stopped = self._never_finished()
            return tuple(text for text in ranked if text not in stopped)
        text_of = {one.architecture.key: self._space.format(one.architecture) for one in outcomes}
        return tuple(text_of[key] for key in rank_observed(outcomes, problem.caps, problem.soft))

    def _never_finished(self) -> set[str]:
        """Architectures whose trainings were all ended early."""
        texts: dict[TrialState, set[str]] = defaultdict(set)
        for one in self._all.values():
            texts[one.state].add(one.architecture)
        return texts[TrialState.STOPPED] - texts[TrialState.FINISHED]

    def _front(
        self, outcomes: Sequence[Outcome], caps: Sequence[Cap], axes: Sequence[Cost]
    ) -> tuple[str, ...]:
        if not axes:
            return ()
        text_of = {one.architecture.key: self._space.format(one.architecture) for one in outcomes}
        return tuple(text_of[key] for key in front_observed(outcomes, caps, axes))

    def _rng(self, purpose: str, number: int) -> Random:
        return Random(f"{self._config.seed}/{purpose}/{number}")


def _plain(text: str) -> str:
    """``text`` with what a measurement id cannot hold replaced."""
    return "".join(one if one.isalnum() or one in "._-" else "-" for one in text)
