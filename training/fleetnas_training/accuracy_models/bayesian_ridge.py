"""Family `bayesian-ridge`: linear in the features, its two settings by the exact evidence."""

__all__ = ["BAYESIAN_RIDGE"]

import numpy as np

from fleetnas_training.accuracy_models.training_set import (
    Family,
    Floats,
    Held,
    Ints,
    Learned,
    Settings,
    TrainingSet,
)
from fleetnas_training.gaussian_process import leave_networks_out

_RATIOS = np.logspace(-4.0, 4.0, 161)
"""Of the noise's variance to a weight's: where the evidence is looked for."""


class _Ridge:
    """``targets ~ N(X w, ratio * scale)`` with ``w ~ N(0, scale)``; the first column of ``X`` is the constant."""

    def __init__(self, data: TrainingSet, ratio: float, scale: float) -> None:
        columns = _columns(data.features)
        precision: Floats = columns.T @ columns + ratio * np.eye(columns.shape[1])
        inverse = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        self._weights = inverse @ (columns.T @ data.targets)
        self._covariance = scale * ratio * inverse
        self.noise_variance = scale * ratio

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        columns = _columns(features)
        variance = np.einsum("nd,de,ne->n", columns, self._covariance, columns)
        return columns @ self._weights, np.maximum(variance, 0.0)


def _learn(data: TrainingSet) -> Learned:
    """By one singular value decomposition.

    Source: MacKay, "Bayesian Interpolation", Neural Computation 4 (1992).
    """
    columns = _columns(data.features)
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    inside = np.square(left.T @ data.targets)
    outside = max(float(data.targets @ data.targets - inside.sum()), 0.0)
    count, rank = columns.shape[0], len(singular)
    total = np.square(singular)[None, :] + _RATIOS[:, None]
    scales = ((inside / total).sum(axis=1) + outside / _RATIOS) / count
    scales = np.maximum(scales, 1e-12)
    misfit = count * np.log(scales) + np.log(total).sum(axis=1) + (count - rank) * np.log(_RATIOS)
    best = int(np.argmin(misfit))
    ratio, scale = float(_RATIOS[best]), float(scales[best])
    covariance = scale * (columns @ columns.T + ratio * np.eye(count))
    inverse = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    held = Held(*leave_networks_out(inverse, inverse @ data.targets, data.targets, data.ids))
    return Learned({"ratio": ratio, "scale": scale}, held)


def _restore(data: TrainingSet, settings: Settings) -> _Ridge:
    return _Ridge(data, settings["ratio"], settings["scale"])


def _columns(features: Floats) -> Floats:
    scaled = features / np.sqrt(max(features.shape[1], 1))
    stacked: Floats = np.column_stack([np.ones(len(features)), scaled])
    return stacked


BAYESIAN_RIDGE = Family("bayesian-ridge", _learn, _restore)
