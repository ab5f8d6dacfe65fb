"""Predicts accuracies of a space's architectures from some that were trained."""

__all__ = ["AccuracyModel", "AccuracyPrediction", "LeaveOneOut", "kendall_tau"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_training.gaussian_process import GaussianProcess
from fleetnas_training.kernel import Kernel, fit_kernel
from fleetnas_training.warp import percent_of, warp

Floats = NDArray[np.float64]

_FINE = 0.1
_SIGMAS_90 = 1.6449


@dataclass(frozen=True, slots=True)
class AccuracyPrediction:
    """Accuracies with their uncertainty.

    Attributes:
        mean_percent, std_percent: Shape ``(N,)``; of the architecture's mean over trainings.
    """

    mean_percent: Floats
    std_percent: Floats


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """How well each training is predicted from all the others.

    Attributes:
        tau: Kendall's rank correlation.
        coverage_90: Share of the trainings inside their 90 % interval; honest intervals give .9.
    """

    tau: float
    coverage_90: float


class AccuracyModel:
    """A Gaussian process over the space's features, on the logarithm of the error.

    Args:
        architectures: Trained ones; one may occur several times.
        accuracies_percent: Of each, in the same order.
        noisy: Whether training one architecture again may give another accuracy.

    Raises:
        InvalidArgumentError: Fewer than two trainings, lengths that differ, or an accuracy that is not finite.
    """

    def __init__(
        self,
        space: SearchSpace,
        architectures: Sequence[Architecture],
        accuracies_percent: Sequence[float],
        *,
        noisy: bool,
    ) -> None:
        if len(architectures) != len(accuracies_percent) or len(architectures) < 2:
            raise InvalidArgumentError(
                f"{len(architectures)} architectures with {len(accuracies_percent)} accuracies; "
                "give one accuracy for each of at least two"
            )
        if not np.isfinite(accuracies_percent).all():
            raise InvalidArgumentError("an accuracy is not a finite number; leave failed trainings out")
        self._space = space
        self._numbers: dict[str, int] = {}
        raw = space.features(architectures)
        self._feature_centre, self._feature_spread = raw.mean(axis=0), raw.std(axis=0)
        self._feature_spread[self._feature_spread < 1e-12] = 1.0
        targets = np.array([warp(one) for one in accuracies_percent])
        self._centre, self._spread = float(targets.mean()), float(targets.std()) or 1.0
        self._targets = (targets - self._centre) / self._spread
        features, ids = self._inputs(architectures)
        prior = Kernel.prior(features.shape[1], noisy=noisy, fine=_FINE)
        kernel = fit_kernel(prior, prior, features, ids, self._targets, np.zeros(len(targets)))
        self._process = GaussianProcess(kernel, features, ids, self._targets)

    def predict(self, architectures: Sequence[Architecture]) -> AccuracyPrediction:
        """Of any members of the space, trained or not."""
        mean, variance = self._process.predict(*self._inputs(architectures))
        return AccuracyPrediction(*percent_of(self._centre + self._spread * mean, self._spread**2 * variance))

    def leave_one_out(self) -> LeaveOneOut:
        """Costs no refit: the settings are those of the whole data."""
        mean, variance = self._process.leave_one_out()
        inside = np.abs(self._targets - mean) <= _SIGMAS_90 * np.sqrt(variance)
        return LeaveOneOut(kendall_tau(self._targets, mean), float(inside.mean()))

    def _inputs(self, architectures: Sequence[Architecture]) -> tuple[Floats, NDArray[np.int64]]:
        features = (self._space.features(architectures) - self._feature_centre) / self._feature_spread
        keys = [self._space.canonical(one).key for one in architectures]
        return features, np.array([self._numbers.setdefault(key, len(self._numbers)) for key in keys])


def kendall_tau(left: Floats, right: Floats) -> float:
    """Kendall's tau-b of two rankings of the same things; 0 when one of them ranks nothing."""
    first = np.sign(left[:, None] - left[None, :])
    second = np.sign(right[:, None] - right[None, :])
    scale = float(np.sqrt(np.abs(first).sum() * np.abs(second).sum()))
    return float((first * second).sum()) / scale if scale else 0.0
