"""Evaluates the trials of a search: measures them through the fleet, asks for their accuracy, stores every step."""

__all__ = ["MeasuringFleet", "NetworkFiles", "Observer", "TrialRunner"]

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from fleetnas_controller.evaluation import Evaluation
from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, ModelFile, Selector
from fleetnas_controller.pending_trial import PendingTrial
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.exact_caps import exact_counts
from fleetnas_controller.trials import Trial, TrialPhase, Trials, TrialState
from fleetnas_latency.plan import Plan
from fleetnas_search_spaces.architecture import Architecture, SearchSpace

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

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None:
        """Is told that what came of a measurement does not count, and that it is made again."""

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None: ...


class TrialRunner:
    """Takes trials from proposed to ended, each step stored before the next begins.

    Args:
        config: Names the search and its devices.
        plan_of: The measurement plan for a device in a phase.
        now_s: Seconds since 1970.
        silent: Called whenever no measurement has ended for a minute; raises when there is nothing to wait for.
        predicted_ms: By device, mean and deviation of what is expected of an architecture before it is measured.
        learn: Told of each ended trial before anybody else is.
    """

    def __init__(
        self,
        config: SearchConfig,
        *,
        space: SearchSpace,
        evaluation: Evaluation,
        trials: Trials,
        fleet: MeasuringFleet,
        files: NetworkFiles,
        plan_of: Callable[[str, TrialPhase], Plan],
        selectors: Mapping[str, Selector],
        observer: Observer,
        now_s: Callable[[], float],
        silent: Callable[[], None],
        predicted_ms: Callable[[Architecture], dict[str, tuple[float, float]]],
        learn: Callable[[Trial], None],
    ) -> None:
        self._config = config
        self._space = space
        self._evaluation = evaluation
        self._trials = trials
        self._fleet = fleet
        self._files = files
        self._plan_of = plan_of
        self._begin_time = now_s()
        self._selectors = selectors
        self._observer = observer
        self._now_s = now_s
        self._silent = silent
        self._predicted_ms = predicted_ms
        self._learn = learn
        self._all: dict[int, Trial] = {one.number: one for one in trials.trials(config.name)}
        self._pending: dict[int, PendingTrial] = {}
        self._records: dict[int, list[MeasurementRecord]] = {}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All of the search, by number."""
        return tuple(self._all[number] for number in sorted(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> Trial:
        return self._all[number]

    def take_in(self, trials: Iterable[Trial]) -> None:
        """Puts stored trials of earlier searches, as they hold here, in the place of what was read."""
        self._all.update({one.number: one for one in trials})

    def count(self, phase: TrialPhase) -> int:
        """Trials begun in a phase, ended or not."""
        return sum(one.phase is phase for one in self._all.values())

    def ended(self, *phases: TrialPhase) -> list[Trial]:
        """Ended trials of these phases, in the order they ended."""
        found = [one for one in self._all.values() if one.phase in phases and one.order >= 0]
        return sorted(found, key=lambda one: one.order)

    def under_evaluation(self) -> list[Architecture]:
        """In the order they were proposed."""
        return [self._space.parse(one.trial.architecture) for _, one in sorted(self._pending.items())]

    def run(
        self,
        phase: TrialPhase,
        count: int,
        propose: Callable[[], Architecture],
        *,
        capacity: int = 1,
        ended: Callable[[Trial], None] = lambda trial: None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Evaluates until the phase has ``count`` trials, all of them ended.

        Args:
            capacity: Trials under evaluation at once, at most.
            given_up: Whether no further trial should begin.

        Raises:
            UnavailableError: The fleet gave a measurement up for a reason that is not the network's.
        """
        for trial in [one for one in self._all.values() if one.phase is phase]:
            if trial.state is TrialState.PROPOSED:
                self._begin(trial)
        while True:
            begun = self.count(phase)
            while len(self._pending) < capacity and begun < count and not given_up():
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
            predicted_ms=self._predicted_ms(architecture),
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
            if pending.accept(record):
                self._observer.repeated(pending.trial, record)
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


def _plain(text: str) -> str:
    """``text`` with what a measurement id cannot hold replaced."""
    return "".join(one if one.isalnum() or one in "._-" else "-" for one in text)
