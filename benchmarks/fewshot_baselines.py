"""What the learned latency is compared with: models of the same few measurements, from scikit-learn."""

__all__ = ["BASELINES", "Inputs", "predict_baseline"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]
_ALPHAS = np.logspace(-4, 3, 15)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of all networks, shape ``(N, ...)``.

    Attributes:
        counts: How often each operator runs, without the overhead.
        one_hot: Each decision's choice.
        layer_sum: The sum of the layers' costs as they were believed before measuring.
    """

    counts: Floats
    one_hot: Floats
    layer_sum: Floats


def predict_baseline(
    name: str,
    inputs: Inputs,
    train: NDArray[np.int64],
    latency_ms: Floats,
    test: NDArray[np.int64],
    seed: int,
) -> Floats:
    """Latencies of the networks ``test`` after those of ``train`` were measured, milliseconds."""
    predicted = BASELINES[name](inputs, train, latency_ms, test, seed)
    return np.maximum(predicted, 0.1 * latency_ms.min())


def _ridge(values: Floats, train: NDArray[np.int64], latency_ms: Floats, test: NDArray[np.int64]) -> Floats:
    """The better of ridge in milliseconds and in their logarithm, by leave-one-out on the measured networks."""
    in_ms = _left_out_ridge(values[train], latency_ms)
    in_log = _left_out_ridge(values[train], np.log(latency_ms))
    if (in_ms[1] / latency_ms).mean() < in_log[1].mean():
        return np.asarray(in_ms[0].predict(values[test]))
    return np.exp(in_log[0].predict(values[test]))


def _left_out_ridge(values: Floats, targets: Floats) -> tuple[Pipeline, Floats]:
    """The model, its penalty chosen by leave-one-out, and the absolute errors of those left out."""
    model = make_pipeline(StandardScaler(), RidgeCV(_ALPHAS, store_cv_results=True)).fit(values, targets)
    ridge = model[-1]
    squared = ridge.cv_results_[:, int(np.argmin(np.abs(_ALPHAS - ridge.alpha_)))]
    return model, np.sqrt(squared)


def _count_ridge(
    inputs: Inputs, train: NDArray[np.int64], y: Floats, test: NDArray[np.int64], seed: int
) -> Floats:
    return _ridge(inputs.counts, train, y, test)


def _one_hot_ridge(
    inputs: Inputs, train: NDArray[np.int64], y: Floats, test: NDArray[np.int64], seed: int
) -> Floats:
    return _ridge(inputs.one_hot, train, y, test)


def _forest(
    inputs: Inputs, train: NDArray[np.int64], y: Floats, test: NDArray[np.int64], seed: int
) -> Floats:
    values = np.hstack([inputs.counts, inputs.one_hot])
    model = RandomForestRegressor(100, random_state=seed).fit(values[train], y)
    return np.asarray(model.predict(values[test]))


def _boosting(
    inputs: Inputs, train: NDArray[np.int64], y: Floats, test: NDArray[np.int64], seed: int
) -> Floats:
    values = np.hstack([inputs.counts, inputs.one_hot])
    model = GradientBoostingRegressor(random_state=seed).fit(values[train], y)
    return np.asarray(model.predict(values[test]))


def _layer_sum(
    inputs: Inputs, train: NDArray[np.int64], y: Floats, test: NDArray[np.int64], seed: int
) -> Floats:
    """Untouched but for its scale: lookup tables are per device, so milliseconds are not borrowed."""
    return inputs.layer_sum[test] * float(np.median(y / inputs.layer_sum[train]))


BASELINES: Mapping[str, Callable[[Inputs, NDArray[np.int64], Floats, NDArray[np.int64], int], Floats]] = (
    MappingProxyType(
        {
            "op-count-ridge": _count_ridge,
            "one-hot-ridge": _one_hot_ridge,
            "random-forest": _forest,
            "gradient-boosting": _boosting,
            "layer-wise-sum": _layer_sum,
        }
    )
)
