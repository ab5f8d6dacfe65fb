"""Predicts accuracies of a space's architectures from some that were trained."""

__all__ = ["AccuracyModel", "AccuracyPrediction", "fit_accuracy_model", "restore_accuracy_model"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_training.accuracy_models.calibration import SIGMAS_90
from fleetnas_training.accuracy_models.candidates import Candidate, best_candidate, fit_candidate
from fleetnas_training.accuracy_models.families import FAMILIES, chosen_families, family_named
from fleetnas_training.accuracy_models.inputs import Inputs, Scores
from fleetnas_training.accuracy_models.process import GAUSSIAN_PROCESS
from fleetnas_training.accuracy_models.stage import Observations, Stage, fit_low_stage, fit_rho, restore_stage
from fleetnas_training.accuracy_models.training_set import Family
from fleetnas_training.trainings import Trainings
from fleetnas_training.warp import CEILING_PERCENT, percent_of, warp

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AccuracyPrediction:
    """Accuracies with their uncertainty.

    Attributes:
        mean_percent: Of the network, over many trainings; shape ``(N,)``.
        low_percent, high_percent: Between them nine of ten trainings of such networks end; shape ``(N,)``.
    """

    mean_percent: Floats
    low_percent: Floats
    high_percent: Floats


class AccuracyModel:
    """A model of the logarithm of the error, with calibrated intervals.

    Args:
        sigmas_90: Half the width of a 90 % interval, in the stage's standard deviations.
    """

    def __init__(self, trainings: Trainings, inputs: Inputs, stage: Stage, sigmas_90: float) -> None:
        self.trainings = trainings
        self._inputs = inputs
        self._stage = stage
        self._sigmas_90 = sigmas_90

    def predict(self, architectures: Sequence[Architecture]) -> AccuracyPrediction:
        """Of any members of the space, trained or not."""
        mean, variance = self._stage.predict(*self._inputs(architectures))
        half = self._sigmas_90 * np.sqrt(variance + self._stage.noise_variance)
        centre = percent_of(mean, variance * (self._sigmas_90 / SIGMAS_90) ** 2)[0]
        low, high = (CEILING_PERCENT - np.exp(-one) for one in (mean - half, mean + half))
        return AccuracyPrediction(*(np.clip(one, 0.0, 100.0) for one in (centre, low, high)))

    def with_candidate(self, candidate: Candidate) -> "AccuracyModel":
        """The same trainings, another of the models that competed for them; one that knows no other scores."""
        return AccuracyModel(self.trainings, self._inputs, candidate.stage, candidate.judgement.sigmas_90)

    @property
    def scores(self) -> Scores | None:
        """Those among its inputs."""
        return self._inputs.scores

    @property
    def rho(self) -> float:
        """How much of the next cheaper fidelity's differences, as logarithms of errors, is seen; 0 without one."""
        return self._stage.rho

    def to_json(self) -> dict[str, Any]:
        """What ``restore_accuracy_model`` needs beside the trainings and the scores."""
        stages: list[dict[str, Any]] = []
        stage: Stage | None = self._stage
        while stage is not None:
            stages.insert(0, stage.to_json())
            stage = stage.below
        return {"stages": stages, "sigmas_90": self._sigmas_90}


def fit_accuracy_model(
    trainings: Trainings, families: Sequence[str] = (), scores: Scores | None = None
) -> tuple[AccuracyModel, tuple[Candidate, ...]]:
    """Fits every family, with and without cheaper fidelities and scores, and chooses one by its ranks.

    The default stays unless another one ranks better by one standard error: with few trainings, the least rank loss
    of several is luck. It is the first family, with the scores that lower the rank loss of a Gaussian process at all,
    and with the cheaper fidelities where these know networks that the dearest does not; of networks known to both,
    they say little more. See benchmarks/README.md for what that is worth.

    Args:
        families: Names; without any, all that are installed.
        scores: To be inputs too where they help.

    Returns:
        The chosen model, and all that competed: the chosen one first, the others by their rank loss.

    Raises:
        As ``chosen_families``.
    """
    return _Fitting(trainings, scores).best(families)


def restore_accuracy_model(
    trainings: Trainings, content: Mapping[str, Any], scores: Scores | None = None
) -> AccuracyModel:
    """The model whose ``to_json`` this is: its predictions are the same to the last bit.

    Raises:
        FailedPreconditionError: The package of its family is not installed.
    """
    inputs = Inputs(trainings.space, [one.architecture for one in trainings.rows], scores)
    stages = content["stages"]
    stage: Stage | None = None
    for level, one in zip(trainings.levels[-len(stages) :], stages, strict=True):
        stage = restore_stage(family_named(one["family"]), _observed(trainings, inputs, level), one, stage)
    assert stage is not None
    return AccuracyModel(trainings, inputs, stage, content["sigmas_90"])


class _Fitting:
    """The candidates for one data set."""

    def __init__(self, trainings: Trainings, scores: Scores | None) -> None:
        self._trainings = trainings
        self._inputs = Inputs(trainings.space, [one.architecture for one in trainings.rows], scores)
        self._plain = tuple(range(self._inputs.feature_count))
        self._score_names = scores.names if scores else ()
        self._seen = _observed(trainings, self._inputs, trainings.levels[-1])
        self._fitted: dict[tuple[str, tuple[str, ...], bool], Candidate] = {}

    def best(self, families: Sequence[str]) -> tuple[AccuracyModel, tuple[Candidate, ...]]:
        below = self._below()
        rho = fit_rho(self._seen, self._plain, below) if below else 0.0
        grounds = [(None, 0.0), (below, rho)] if below else [(None, 0.0)]
        found = [
            self._candidate(family, kept, ground, own_rho)
            for ground, own_rho in grounds
            for kept in dict.fromkeys(((), self._useful(ground, own_rho)))
            for family in chosen_families(families)
        ]
        chosen = best_candidate(self._default(found), found)
        order = sorted(found, key=lambda one: (one is not chosen, one.judgement.rank_loss))
        return self._alone(chosen), tuple(order)

    def _default(self, found: Sequence[Candidate]) -> Candidate:
        """See ``fit_accuracy_model``."""
        *below, top = (
            {one.architecture for one in self._trainings.at(level)} for level in self._trainings.levels
        )
        rests_on_low = bool(set().union(*below) - top)
        grounded = [one for one in found if bool(one.low) is rests_on_low]
        return min(grounded, key=lambda one: (-len(one.scores), tuple(FAMILIES).index(one.family)))

    def _alone(self, chosen: Candidate) -> AccuracyModel:
        """The model with the scores that it knows and no others, which would only cost."""
        scores = self._inputs.scores.only(chosen.scores) if self._inputs.scores and chosen.scores else None
        inputs = Inputs(self._trainings.space, [one.architecture for one in self._trainings.rows], scores)
        stage = replace(chosen.stage, columns=tuple(range(len(chosen.stage.columns))))
        return AccuracyModel(self._trainings, inputs, stage, chosen.judgement.sigmas_90)

    def _below(self) -> Stage | None:
        """The cheaper fidelities, each on top of the one before."""
        stage: Stage | None = None
        for level in self._trainings.levels[:-1]:
            seen = _observed(self._trainings, self._inputs, level)
            rho = fit_rho(seen, self._plain, stage) if stage else 0.0
            stage = fit_low_stage(seen, self._plain, stage, rho)
        return stage

    def _useful(self, below: Stage | None, rho: float) -> tuple[str, ...]:
        """The scores that lower a Gaussian process's rank loss, added one by one, the best first."""
        kept: tuple[str, ...] = ()
        if not self._score_names:
            return kept
        loss = self._candidate(GAUSSIAN_PROCESS, kept, below, rho).judgement.rank_loss
        while len(kept) < len(self._score_names):
            rest = [(*kept, one) for one in self._score_names if one not in kept]
            tried = [
                (self._candidate(GAUSSIAN_PROCESS, one, below, rho).judgement.rank_loss, one) for one in rest
            ]
            if min(tried)[0] >= loss:
                break
            loss, kept = min(tried)
        return kept

    def _candidate(
        self, family: Family, scores: tuple[str, ...], below: Stage | None, rho: float
    ) -> Candidate:
        key = family.name, scores, below is not None
        if key not in self._fitted:
            columns = (*self._plain, *(len(self._plain) + self._score_names.index(one) for one in scores))
            low = self._trainings.levels[:-1] if below else ()
            self._fitted[key] = fit_candidate(
                family, self._seen, columns, below=below, rho=rho, low=low, scores=scores
            )
        return self._fitted[key]


def _observed(trainings: Trainings, inputs: Inputs, level: str) -> Observations:
    rows = trainings.at(level)
    values = [one.value if level in trainings.proxies else warp(one.value) for one in rows]
    return Observations(*inputs([one.architecture for one in rows]), np.array(values), trainings.noisy(level))
