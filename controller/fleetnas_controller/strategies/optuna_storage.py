"""An Optuna storage that can be taken back."""

__all__ = ["RewindableStorage"]

import copy
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

_STUDY = 0
_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Optuna wants to know when a trial ran; no sampler looks, and a real clock would make two runs differ."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A state to go back to."""

    trial_count: int
    system_attrs: dict[str, Any]


class RewindableStorage(BaseStorage):
    """One study in memory, which forgets at ``rewind`` what was written since ``mark``.

    Samplers write into the storage while they *propose*: numbers of trials, generations, positions in a sequence.
    A proposal whose result never comes must leave none of that behind.
    """

    def __init__(self) -> None:
        self._name = ""
        self._directions: list[StudyDirection] = []
        self._user_attrs: dict[str, Any] = {}
        self._system_attrs: dict[str, Any] = {}
        self._trials: list[FrozenTrial] = []

    def mark(self) -> Mark:
        return Mark(len(self._trials), dict(self._system_attrs))

    def rewind(self, mark: Mark) -> None:
        """Drops trials and study attributes written since the mark; finished trials before it never change."""
        del self._trials[mark.trial_count :]
        self._system_attrs = dict(mark.system_attrs)

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        self._name = study_name or "search"
        self._directions = list(directions)
        return _STUDY

    def delete_study(self, study_id: int) -> None:
        self._trials.clear()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._user_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._system_attrs[key] = value

    def get_study_id_from_name(self, study_name: str) -> int:
        return _STUDY

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        return [
            FrozenStudy(
                self._name, None, self._user_attrs, self._system_attrs, _STUDY, directions=self._directions
            )
        ]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial = copy.copy(template_trial) if template_trial is not None else _running()
        trial.number = trial._trial_id = len(self._trials)
        self._trials.append(trial)
        return trial.number

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self._writable(trial_id)
        trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = {**trial.distributions, param_name: distribution}

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        if state == TrialState.RUNNING and self._trials[trial_id].state != TrialState.WAITING:
            return False
        trial = self._writable(trial_id)
        trial.state = state
        if values is not None:
            trial.values = values
        trial.datetime_start = _TIME
        trial.datetime_complete = _TIME if state.is_finished() else None
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        trial = self._writable(trial_id)
        trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._writable(trial_id)
        trial.user_attrs = {**trial.user_attrs, key: value}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._writable(trial_id)
        trial.system_attrs = {**trial.system_attrs, key: value}

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [one for one in self._trials if states is None or one.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _writable(self, trial_id: int) -> FrozenTrial:
        """A copy in the trial's place, so that lists handed out before keep what they showed."""
        trial = copy.copy(self._trials[trial_id])
        self.check_trial_is_updatable(trial_id, trial.state)
        self._trials[trial_id] = trial
        return trial


def _running() -> FrozenTrial:
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=_TIME,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
