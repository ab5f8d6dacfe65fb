"""One fidelity's model, on top of the cheaper one's."""

__all__ = ["Observations", "Stage", "fit_low_stage", "fit_rho", "fit_stage", "restore_stage"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_training.accuracy_models.process import GAUSSIAN_PROCESS, learn_settings, learned_kernel
from fleetnas_training.accuracy_models.training_set import Family, Held, Regressor, Settings, TrainingSet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Observations:
    """The trainings of one fidelity.

    Attributes:
        inputs: Standardised features and scores, shape ``(N, D)``.
        ids: Number of the network in each row, shape ``(N,)``.
        values: On the scale that is modelled, shape ``(N,)``.
        noisy: Whether training one network again may give another value.
    """

    inputs: Floats
    ids: Ints
    values: Floats
    noisy: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """``value(x) = rho * below(x) + delta(x)``, or ``delta(x)`` alone.

    Source: Kennedy and O'Hagan, "Predicting the output from a complex computer code when fast approximations are
    available", Biometrika 87 (2000); level by level as Le Gratiet and Garnier, International Journal for Uncertainty
    Quantification 4 (2014).

    Attributes:
        below: The next cheaper fidelity.
        columns: Of the inputs, those that ``delta`` knows.
        centre, spread: Of ``delta``.
    """

    family: Family
    settings: Settings
    regressor: Regressor
    columns: tuple[int, ...]
    centre: float
    spread: float
    rho: float = 0.0
    below: "Stage | None" = None

    @property
    def noise_variance(self) -> float:
        """Of one training around what ``predict`` says of its network."""
        return self.spread**2 * self.regressor.noise_variance

    def predict(self, inputs: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of the networks' own means, each of shape ``(len(inputs),)``."""
        delta = self.regressor.predict(inputs[:, list(self.columns)], ids)
        return self._on_top(delta, None if self.below is None else self.below.predict(inputs, ids))

    def predict_unseen(self, inputs: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """As ``predict``, each network as if it had not been trained at this fidelity or a cheaper one.

        Only stages made by ``fit_low_stage`` can do this.
        """
        process: Any = self.regressor
        delta = process.predict_unseen(inputs[:, list(self.columns)], ids)
        return self._on_top(delta, None if self.below is None else self.below.predict_unseen(inputs, ids))

    def _on_top(
        self, delta: tuple[Floats, Floats], below: tuple[Floats, Floats] | None
    ) -> tuple[Floats, Floats]:
        """Mean and variance of the sum, of those of a standardised ``delta`` and of the cheaper fidelity."""
        mean, variance = self.centre + self.spread * delta[0], self.spread**2 * delta[1]
        if below is None:
            return mean, variance
        return mean + self.rho * below[0], variance + self.rho**2 * below[1]

    def to_json(self) -> dict[str, Any]:
        """Without the trainings; see ``restore_stage``."""
        return {
            "family": self.family.name,
            "columns": list(self.columns),
            "rho": self.rho,
            "settings": dict(self.settings),
        }


def fit_stage(
    family: Family, seen: Observations, columns: Sequence[int], below: Stage | None = None, rho: float = 0.0
) -> tuple[Stage, Held]:
    """Fits one family to what the cheaper fidelity leaves.

    Returns:
        The stage, and each of ``seen`` predicted without its network's trainings, those at cheaper fidelities too:
        else the ranks would be those of networks that were trained there, and promise too much of all others.
    """
    part = _Delta(seen, columns, below, rho)
    learned = family.learn(part.data)
    mean = part.centre + part.spread * learned.held.mean
    variance = part.spread**2 * learned.held.variance
    if below is not None:
        low, low_variance = below.predict_unseen(seen.inputs, seen.ids)
        mean, variance = mean + rho * low, variance + rho**2 * low_variance
    return part.stage(family, learned.settings), Held(mean, variance)


def fit_low_stage(
    seen: Observations, columns: Sequence[int], below: Stage | None = None, rho: float = 0.0
) -> Stage:
    """A Gaussian process of a cheaper fidelity: nobody asks how well it predicts, only what it says."""
    part = _Delta(seen, columns, below, rho)
    return part.stage(GAUSSIAN_PROCESS, learn_settings(part.data))


def restore_stage(family: Family, seen: Observations, content: Settings, below: Stage | None = None) -> Stage:
    """The stage whose ``to_json`` this is; ``seen`` and ``below`` as they were when it was fitted."""
    part = _Delta(seen, content["columns"], below, content["rho"])
    return part.stage(family, content["settings"])


def fit_rho(seen: Observations, columns: Sequence[int], below: Stage) -> float:
    """How much of the cheaper fidelity's differences is seen at this one, by generalised least squares.

    The covariance of ``delta`` depends on ``rho`` and the other way round: both are learned in turn.
    """
    low, _ = below.predict(seen.inputs, seen.ids)
    low, wanted = low - low.mean(), seen.values - seen.values.mean()
    rho = float(low @ wanted / max(low @ low, 1e-12))
    for _ in range(_ROUNDS):
        data = _Delta(seen, columns, below, rho).data
        kernel = learned_kernel(data)
        covariance = kernel.covariance(data.features, data.ids, data.features, data.ids)
        covariance.flat[:: len(low) + 1] += kernel.noise_variance + data.known_variance
        solved = np.linalg.solve(covariance, low)
        rho = float(solved @ wanted / max(solved @ low, 1e-12))
    return rho


class _Delta:
    """What the cheaper fidelity leaves of the values, standardised."""

    def __init__(self, seen: Observations, columns: Sequence[int], below: Stage | None, rho: float) -> None:
        self.low, self.low_variance = np.zeros(len(seen.values)), np.zeros(len(seen.values))
        if below is not None:
            low, variance = below.predict(seen.inputs, seen.ids)
            self.low, self.low_variance = rho * low, rho**2 * variance
        delta = seen.values - self.low
        self.centre, self.spread = float(delta.mean()), float(delta.std()) or 1.0
        self._columns, self._below, self._rho = tuple(columns), below, rho
        features = seen.inputs[:, list(columns)]
        known = self.low_variance / self.spread**2
        self.data = TrainingSet(features, seen.ids, (delta - self.centre) / self.spread, known, seen.noisy)

    def stage(self, family: Family, settings: Settings) -> Stage:
        regressor = family.restore(self.data, settings)
        return Stage(
            family, settings, regressor, self._columns, self.centre, self.spread, self._rho, self._below
        )
