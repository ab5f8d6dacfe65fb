"""Fills the latency table of one device: chooses networks, measures them through the fleet, says what is known."""

__all__ = ["LatencyProfile", "ProfileResult", "ProfileStep"]

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fleetnas_controller.jobs import MeasurementRecord, MeasurementRequest, Selector
from fleetnas_controller.pending_trial import PendingTrial
from fleetnas_controller.trial_runner import MeasuringFleet, NetworkFiles, Observer
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.plan import Plan
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.errors import UnavailableError

MORE_COUNT = 10
"""How many measurements more the forecast is about."""
_CANDIDATE_COUNT = 200
_ASKED_COUNT = 200
_FEWEST_NETWORKS = 3
_WAIT_S = 60.0
_FAULTS_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class ProfileStep:
    """Where the table stands after a measurement.

    Attributes:
        median_error: Relative, expected of networks of the space; None before three are known.
        foreseen_error: The same after ``MORE_COUNT`` measurements more.
    """

    measured_count: int
    median_error: float | None
    foreseen_error: float | None


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """How a profile ended.

    Attributes:
        faults: By architecture, why it could not be measured.
    """

    target: Target
    model: FewShotModel
    last: ProfileStep
    faults: dict[str, str]


class LatencyProfile:
    """Measures the reference, then whatever tells most about the rest of the space.

    What the table holds already counts, so a profile that was killed goes on where it stood. Every measurement
    has the reference beside it, as in a search.

    Args:
        run: Makes measurement ids unique in the fleet.
        request_selector: Which device.
        model_of: The model of a target after all that the table holds (``few_shot.from_table``).
        observer: Stores what was measured in the table.
        begin_time: Seconds since 1970, as in ``PendingTrial``.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        run: str,
        fleet: MeasuringFleet,
        files: NetworkFiles,
        plan: Plan,
        device: str,
        request_selector: Selector,
        model_of: Callable[[Target], FewShotModel],
        observer: Observer,
        rng: Random,
        begin_time: float,
    ) -> None:
        self._space = space
        self._run = run
        self._fleet = fleet
        self._files = files
        self._plan = plan
        self._device = device
        self._selector = request_selector
        self._model_of = model_of
        self._observer = observer
        self._begin_time = begin_time
        drawn = {space.canonical(space.sample(rng)) for _ in range(_CANDIDATE_COUNT + _ASKED_COUNT)}
        networks = rng.sample(sorted(drawn), len(drawn))
        share = len(networks) * _CANDIDATE_COUNT // (_CANDIDATE_COUNT + _ASKED_COUNT)
        self._candidates, self._asked = networks[:share], networks[share:]
        self._faults: dict[str, str] = {}
        self._verdicts: Counter[str] = Counter()
        self._number = 0

    def run(self, budget: int, wanted_error: float, progress: Callable[[ProfileStep], None]) -> ProfileResult:
        """Measures until ``budget`` networks were tried, the error is small enough, or nothing is left.

        Args:
            wanted_error: Relative median error to stop at; 0: use the whole budget.

        Raises:
            UnavailableError: The reference or several networks in a row could not be measured, or none well.
        """
        target = self._measured(self._space.canonical(self._space.reference))
        if target is None:
            raise UnavailableError(
                f"the reference network could not be measured on '{self._device}': "
                f"{'; '.join(self._faults.values())}. See 'fleetnas device list'."
            )
        model, faults_in_a_row = self._model_of(target), 0
        step = self._step(model)
        while self._number < budget and not self._good_enough(step, wanted_error):
            progress(step)
            following = self._next(model)
            if following is None:
                break
            faults_in_a_row = 0 if self._measured(following) else faults_in_a_row + 1
            if faults_in_a_row >= _FAULTS_IN_A_ROW:
                break
            model = self._model_of(target)
            step = self._step(model)
        if not model.network_count:
            seen = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._verdicts.items()))
            raise UnavailableError(
                f"no measurement on '{self._device}' was good enough to learn from (verdicts: {seen}): leave the "
                "device alone while it measures, and profile again."
            )
        return ProfileResult(target, model, step, dict(self._faults))

    def _next(self, model: FewShotModel) -> Architecture | None:
        done = {*model.observed}
        taken = [
            index
            for index, one in enumerate(self._candidates)
            if one in done or self._space.format(one) in self._faults
        ]
        if len(taken) == len(self._candidates):
            return None
        return self._candidates[model.choose(self._candidates, self._asked, taken)]

    def _step(self, model: FewShotModel) -> ProfileStep:
        count = model.network_count
        if count < _FEWEST_NETWORKS:
            return ProfileStep(count, None, None)
        left = [one for one in self._candidates if one not in {*model.observed}] or self._candidates
        now, later = model.foreseen_errors(left, self._asked, min(MORE_COUNT, len(left)))
        return ProfileStep(count, now, later)

    def _measured(self, architecture: Architecture) -> Target | None:
        """Measures one network and has it stored; None when there is no latency, whose reason is kept."""
        trial = self._trial(architecture)
        records: list[MeasurementRecord] = []
        pending = PendingTrial(trial, (self._device,), self._requester(architecture, trial), self._begin_time)
        self._observer.proposed(trial)
        while not pending.complete:
            for record in self._fleet.wait_any(pending.names, _WAIT_S):
                if pending.accept(record):
                    self._observer.repeated(trial, record)
                records.append(record)
                if record.result is not None:
                    self._verdicts[str(record.result.verdict)] += 1
        self._observer.finished(trial, records)
        for reason in pending.faults().values():
            self._faults[trial.architecture] = reason
        return records[-1].target if not pending.faults() else None

    def _trial(self, architecture: Architecture) -> Trial:
        graph = self._space.graph(architecture)
        phase = TrialPhase.SEARCH if self._number else TrialPhase.REFERENCE
        text = self._space.format(architecture)
        trial = Trial(self._number, phase, text, macs=macs(graph), params=params(graph))
        self._number += 1
        return trial

    def _requester(self, architecture: Architecture, trial: Trial) -> Callable[[str, int], str]:
        entry, files = self._files.upload(architecture)
        anchor, anchor_files = self._files.upload(self._space.canonical(self._space.reference))

        def request(device: str, attempt: int) -> str:
            record = self._fleet.create_measurement(
                MeasurementRequest(
                    measurement_id=f"{self._run}-{trial.number:05d}-{attempt}",
                    files=tuple(dict.fromkeys((*files, *anchor_files))),
                    entry_file=entry,
                    anchor_entry_file=anchor,
                    plan=self._plan,
                    selector=self._selector,
                    labels=(("profile", self._run), ("trial", str(trial.number))),
                )
            )
            return record.name

        return request

    @staticmethod
    def _good_enough(step: ProfileStep, wanted_error: float) -> bool:
        return step.median_error is not None and step.median_error <= wanted_error
