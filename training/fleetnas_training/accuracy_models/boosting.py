"""Family `boosting`: trees by LightGBM, one after the other on what the earlier ones left."""

__all__ = ["BOOSTING"]

from typing import Any

import numpy as np

from fleetnas_training.accuracy_models.training_set import (
    Family,
    Floats,
    Held,
    Ints,
    Learned,
    Settings,
    TrainingSet,
    fold_numbers,
)

_ROUNDS = 200
_PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 3,
    "feature_fraction": 0.7,
    "lambda_l2": 1.0,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


class _Boosting:
    """Knows no uncertainty of its own: all of it is in the noise."""

    def __init__(self, trees: Any, noise_variance: float) -> None:
        self._trees = trees
        self.noise_variance = noise_variance

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        mean: Floats = self._trees.predict(features, num_threads=1)
        return mean, np.zeros(len(features))


def _learn(data: TrainingSet) -> Learned:
    """Ten folds; the variance is what their predictions missed by.

    Source: Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017.
    """
    folds = fold_numbers(data.ids)
    mean = np.empty(len(data.targets))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        mean[out] = _trees(data.features[~out], data.targets[~out]).predict(data.features[out], num_threads=1)
    variance = max(float(np.square(data.targets - mean).mean()), 1e-12)
    held = Held(mean, np.full(len(mean), variance))
    return Learned({"noise_variance": variance, "rounds": _ROUNDS, **_PARAMETERS}, held)


def _restore(data: TrainingSet, settings: Settings) -> _Boosting:
    """Grows the trees again: on one thread, with a seed, they are the same."""
    parameters = {name: settings[name] for name in _PARAMETERS}
    trees = _trees(data.features, data.targets, parameters, settings["rounds"])
    return _Boosting(trees, settings["noise_variance"])


def _trees(
    features: Floats, targets: Floats, parameters: Settings = _PARAMETERS, rounds: int = _ROUNDS
) -> Any:
    import lightgbm

    return lightgbm.train(dict(parameters), lightgbm.Dataset(features, targets), rounds)


BOOSTING = Family("boosting", _learn, _restore, package="lightgbm", extra="boosting")
