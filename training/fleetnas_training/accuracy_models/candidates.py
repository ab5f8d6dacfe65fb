"""Accuracy models that compete for the same trainings."""

__all__ = [
    "Candidate",
    "Judgement",
    "agreements",
    "best_candidate",
    "fit_candidate",
    "is_better",
    "kendall_tau",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetnas_training.accuracy_models.calibration import SIGMAS_90, calibrated_coverage, conformal_sigmas
from fleetnas_training.accuracy_models.stage import Observations, Stage, fit_stage
from fleetnas_training.accuracy_models.training_set import Family
from fleetnas_training.warp import percent_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well each training is predicted from those of all other networks.

    Attributes:
        tau: Kendall's rank correlation, over networks.
        error_percent: Mean absolute difference in points of accuracy, over trainings.
        coverage_90: Share of the trainings inside the model's own 90 % interval.
        calibrated_90: The same after calibration on all other trainings.
        sigmas_90: Half the width of the calibrated interval, in standard deviations; a Gaussian's is 1.645.
    """

    tau: float
    error_percent: float
    coverage_90: float
    calibrated_90: float
    sigmas_90: float

    @property
    def rank_loss(self) -> float:
        """Share of the pairs of networks put in the wrong order."""
        return (1.0 - self.tau) / 2.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fitted model.

    Attributes:
        family: Name of its family.
        low: Names of the cheaper fidelities it rests on.
        scores: Names of the scores among its inputs.
        agreements: Of each network with all others, shape ``(networks,)``; their mean is ``judgement.tau``.
    """

    family: str
    low: tuple[str, ...]
    scores: tuple[str, ...]
    stage: Stage
    judgement: Judgement
    agreements: Floats

    @property
    def name(self) -> str:
        return " + ".join((self.family, *self.low, *self.scores))


def fit_candidate(
    family: Family,
    seen: Observations,
    columns: Sequence[int],
    *,
    below: Stage | None = None,
    rho: float = 0.0,
    low: tuple[str, ...] = (),
    scores: tuple[str, ...] = (),
) -> Candidate:
    """Fits and judges.

    Args:
        seen: With values on the warped scale.
        columns: Of its inputs, those that the model is to know.
    """
    stage, held = fit_stage(family, seen, columns, below, rho)
    misses = np.abs(seen.values - held.mean) / np.sqrt(held.variance)
    zeros = np.zeros(len(seen.values))
    truth, predicted = percent_of(seen.values, zeros)[0], percent_of(held.mean, zeros)[0]
    agreed = agreements(_by_network(seen, seen.values), _by_network(seen, held.mean))
    judgement = Judgement(
        float(agreed.mean()),
        float(np.abs(truth - predicted).mean()),
        float((misses <= SIGMAS_90).mean()),
        calibrated_coverage(misses),
        conformal_sigmas(misses),
    )
    return Candidate(family.name, low, scores, stage, judgement, agreed)


def is_better(one: Candidate, other: Candidate) -> bool:
    """Whether one model ranks better than another by more than one standard error of the difference.

    Both were judged on the same networks, so what makes a network hard for both cancels. Tau is a mean over pairs,
    whose standard error is twice that of the networks' own means.

    Source: Hoeffding, "A class of statistics with asymptotically normal distribution", Annals of Mathematical
    Statistics 19 (1948); for the rule, Breiman et al., "Classification and Regression Trees" (1984).
    """
    gains = one.agreements - other.agreements
    error = 2.0 * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return float(gains.mean()) > error


def best_candidate(default: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """The one of the least rank loss of those that are better than the default; the default where none is."""
    better = [one for one in candidates if is_better(one, default)]
    return min(better, key=lambda one: one.judgement.rank_loss, default=default)


def kendall_tau(left: Floats, right: Floats) -> float:
    """Kendall's tau-b of two rankings of the same things; 0 when one of them ranks nothing."""
    return float(agreements(left, right).mean())


def agreements(left: Floats, right: Floats) -> Floats:
    """What each thing adds to tau-b, which is their mean."""
    first = np.sign(left[:, None] - left[None, :])
    second = np.sign(right[:, None] - right[None, :])
    scale = float(np.sqrt(np.abs(first).sum() * np.abs(second).sum()))
    agreed: Floats = len(left) * (first * second).sum(axis=1) / (scale or 1.0)
    return agreed


def _by_network(seen: Observations, values: Floats) -> Floats:
    """Mean of each network's rows."""
    numbers = np.unique(seen.ids, return_inverse=True)[1]
    means: Floats = np.bincount(numbers, values) / np.bincount(numbers)
    return means
