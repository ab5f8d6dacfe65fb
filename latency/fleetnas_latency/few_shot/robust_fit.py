"""Bayesian linear regression with multiplicative Student-t noise, mixed over hypotheses and sizes of noise."""

__all__ = ["SIGMAS", "Measured", "fit_robust"]

from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np

from fleetnas_latency.few_shot.robust_posterior import Believed, Component, Floats, RobustPosterior, squared

SIGMAS = (0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2)
_SIGMA_MEDIAN = 0.025
_FREEDOM = 3.0
_LOG_T = lgamma((_FREEDOM + 1.0) / 2.0) - lgamma(_FREEDOM / 2.0) - 0.5 * log(_FREEDOM * pi)
_LEAST_SHARE = 0.2  # of its prior's prediction that a prediction counts as in a weight
_NEGLIGIBLE = 1e-3
_PASSES = 12
_SETTLED = 1e-5


@dataclass(frozen=True, slots=True)
class Measured:
    """Networks and their latencies.

    Attributes:
        rows: Shape ``(H, N, K)``.
        latency_ms: Shape ``(N,)``.
        variance_ms2: Shape ``(N,)``: of each value, from its measurement and from the clock's ticks.
    """

    rows: Floats
    latency_ms: Floats
    variance_ms2: Floats


def fit_robust(believed: Believed, measured: Measured) -> RobustPosterior:
    """Conditions on measured networks by iterated reweighting; components are weighted by Laplace's evidence.

    Cost: ``H * 7`` systems of ``min(N, Q)`` unknowns, at most 12 times.
    """
    problem = _Problem(believed, measured)
    state = problem.settled()
    evidence = problem.evidence(state)
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    weights[weights < _NEGLIGIBLE] = 0.0
    weights /= weights.sum()
    kept = list(zip(*np.nonzero(weights), strict=True))
    components = [problem.component(state, int(h), int(s), float(weights[h, s])) for h, s in kept]
    scores = sum(
        (weights[h, s] * problem.left_out(state, int(h), int(s)) for h, s in kept),
        np.zeros(len(measured.latency_ms)),
    )
    return RobustPosterior(believed, tuple(components), float(measured.latency_ms.min()), scores)


@dataclass(frozen=True, slots=True)
class _State:
    """Of every hypothesis and sigma: predictions and precisions ``(H, S, N)``, solutions ``(H, S, Q)``."""

    predicted: Floats
    precision: Floats
    variance: Floats  # relative
    solved: Floats


class _Problem:
    """The regression in units of each hypothesis' scale and in the coordinates of the prior's factor."""

    def __init__(self, believed: Believed, measured: Measured) -> None:
        prior = np.einsum("hnk,hk->hn", measured.rows, believed.mean)
        self.scale_ms = np.maximum(np.median(measured.latency_ms / prior, axis=1), 1e-12)
        self.prior = prior[:, None]
        self.rows = measured.rows @ believed.factor
        self.values = (measured.latency_ms / self.scale_ms[:, None])[:, None]
        self.noise = (measured.variance_ms2 / self.scale_ms[:, None] ** 2)[:, None]
        self.log_weights = np.log(believed.weights)
        self.sigmas = np.array(SIGMAS)
        count, width = self.rows.shape[1:]
        self.by_networks = count < width
        self.kernel = self.rows @ np.swapaxes(self.rows, 1, 2) if self.by_networks else None

    def settled(self) -> _State:
        predicted = np.repeat(self.prior, len(self.sigmas), axis=1)
        for _ in range(_PASSES):
            precision, variance = self._precision(predicted)
            solved = self._solved(precision)
            fitted = self.prior + np.einsum("hnq,hsq->hsn", self.rows, solved)
            fitted = np.maximum(fitted, _LEAST_SHARE * self.prior)
            change = float(np.abs(fitted / predicted - 1.0).max())
            predicted = fitted
            if change < _SETTLED:
                break
        precision, variance = self._precision(predicted)
        return _State(predicted, precision, variance, solved)

    def evidence(self, state: _State) -> Floats:
        """Logarithm, shape ``(H, S)``."""
        residual = (self.values - state.predicted) / state.predicted
        fit = _LOG_T - 0.5 * np.log(state.variance) - np.log(state.predicted)
        fit -= (_FREEDOM + 1.0) / 2.0 * np.log1p(residual**2 / state.variance / _FREEDOM)
        log_prior = self.log_weights[:, None] - 0.5 * np.log(self.sigmas / _SIGMA_MEDIAN) ** 2
        # The scales differ between hypotheses, so densities are brought back to milliseconds.
        fit_ms = fit.sum(axis=2) - fit.shape[2] * np.log(self.scale_ms)[:, None]
        size = -0.5 * np.einsum("hsq,hsq->hs", state.solved, state.solved)
        evidence: Floats = fit_ms + size - 0.5 * self._log_det(state.precision) + log_prior
        return evidence

    def component(self, state: _State, hypothesis: int, sigma: int, weight: float) -> Component:
        return Component(
            hypothesis,
            weight,
            SIGMAS[sigma],
            float(self.scale_ms[hypothesis]),
            state.solved[hypothesis, sigma],
            self._removed(state.precision[hypothesis, sigma], hypothesis),
        )

    def left_out(self, state: _State, hypothesis: int, sigma: int) -> Floats:
        """Scores of the measured networks, each left out, by its leverage."""
        precision, rows = state.precision[hypothesis, sigma], self.rows[hypothesis]
        removed = self._removed(precision, hypothesis)
        spread = np.maximum(squared(rows) - squared(rows @ removed.T), 0.0)
        left = 1.0 - np.clip(precision * spread, 0.0, 0.95)
        fitted = self.prior[hypothesis, 0] + rows @ state.solved[hypothesis, sigma]
        error = np.abs(self.values[hypothesis, 0] - fitted) / left
        own = state.variance[hypothesis, sigma] * state.predicted[hypothesis, sigma] ** 2
        scores: Floats = error / np.sqrt(spread / left + own)
        return scores

    def _precision(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Of each network's residual, robust weight included; and the relative variance of its noise."""
        variance = self.sigmas[:, None] ** 2 + self.noise / predicted**2
        residual = (self.values - predicted) / predicted
        weight = (_FREEDOM + 1.0) / (_FREEDOM + residual**2 / variance)
        return weight / (variance * predicted**2), variance

    def _solved(self, precision: Floats) -> Floats:
        error = self.values - self.prior
        if self.kernel is not None:
            system = self.kernel[:, None] + _diagonal(1.0 / precision)
            dual = np.linalg.solve(system, np.broadcast_to(error, precision.shape)[..., None])[..., 0]
            from_dual: Floats = np.einsum("hnq,hsn->hsq", self.rows, dual)
            return from_dual
        right = np.einsum("hnq,hsn->hsq", self.rows, precision * error)
        solved: Floats = np.linalg.solve(self._gram(precision) + np.eye(right.shape[-1]), right[..., None])[
            ..., 0
        ]
        return solved

    def _gram(self, precision: Floats) -> Floats:
        """Shape ``(H, S, Q, Q)``."""
        weighted = np.swapaxes(self.rows, 1, 2)[:, None] * precision[:, :, None, :]
        return weighted @ self.rows[:, None]

    def _log_det(self, precision: Floats) -> Floats:
        if self.kernel is not None:
            root = np.sqrt(precision)
            inner = root[..., :, None] * self.kernel[:, None] * root[..., None, :]
        else:
            inner = self._gram(precision)
        log_det: Floats = np.linalg.slogdet(inner + np.eye(inner.shape[-1]))[1]
        return log_det

    def _removed(self, precision: Floats, hypothesis: int) -> Floats:
        """``B`` with posterior covariance ``I - B.T @ B`` in the factor's coordinates."""
        rows = self.rows[hypothesis]
        if self.by_networks:
            inner = rows @ rows.T + np.diag(1.0 / precision)
            return np.linalg.solve(np.linalg.cholesky(inner), rows)
        information = (rows.T * precision) @ rows
        values, vectors = np.linalg.eigh(information)
        values = np.maximum(values, 0.0)
        removed: Floats = np.sqrt(values / (1.0 + values))[:, None] * vectors.T
        return removed


def _diagonal(values: Floats) -> Floats:
    return values[..., None] * np.eye(values.shape[-1])
