"""What is believed of a device's entries: before measuring, and after as a mixture of Gaussians."""

__all__ = ["Believed", "Component", "Floats", "RobustPosterior", "squared"]

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_LEAST_PREDICTED = 0.1  # of the smallest measurement
_USUAL_SIGMA = 0.03
_MOST_APART = 0.25  # a factor of 1.6 between two hypotheses is as wrong as any larger one

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Believed:
    """What is believed of the entries under each hypothesis before measuring, for networks of mean latency 1.

    Attributes:
        mean: Shape ``(H, K)``.
        factor: Shape ``(H, K, Q)``; the covariance under hypothesis ``h`` is ``factor[h] @ factor[h].T``.
        weights: Shape ``(H,)``, sum 1.
    """

    mean: Floats
    factor: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class Component:
    """One hypothesis with one sigma: ``entries = scale * (mean + factor @ solved)``.

    A row ``r`` in the factor's coordinates has the variance ``|r|^2 - |removed @ r|^2`` in units of the scale.
    """

    hypothesis: int
    weight: float
    sigma: float
    scale_ms: float
    solved: Floats
    removed: Floats


@dataclass(frozen=True, slots=True)
class RobustPosterior:
    """What is believed after measuring. Made by ``fit_robust``.

    Attributes:
        left_out_scores: Shape ``(N,)``: each measured network's distance from what the others say of it, in
            standard deviations of that prediction.
    """

    believed: Believed
    components: tuple[Component, ...]
    least_ms: float
    left_out_scores: Floats

    @classmethod
    def before_measuring(cls, believed: Believed) -> "RobustPosterior":
        """The prior alone, for networks of mean latency 1 and the noise of a usual device."""
        width = believed.factor.shape[2]
        components = tuple(
            Component(index, float(weight), _USUAL_SIGMA, 1.0, np.zeros(width), np.zeros((0, width)))
            for index, weight in enumerate(believed.weights)
        )
        return cls(believed, components, 1.0, np.zeros(0))

    def hypothesis_weights(self) -> Floats:
        """Shape ``(H,)``, sum 1."""
        weights = np.zeros(len(self.believed.weights))
        for one in self.components:
            weights[one.hypothesis] += one.weight
        return weights

    def networks(self, rows: Floats, tick_ms: float = 0.0) -> tuple[Floats, Floats]:
        """Mean and standard deviation of what a measurement of each network would give, milliseconds.

        Args:
            rows: Shape ``(H, M, K)``.
        """
        means, variances = [], []
        for one in self.components:
            mean, variance = self._by(one, rows[one.hypothesis])
            mean = np.maximum(mean, _LEAST_PREDICTED * self.least_ms)
            means.append(mean)
            variances.append(variance + (one.sigma * mean) ** 2 + tick_ms**2 / 12.0)
        return _mixed(self.components, means, variances)

    def entries(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each entry, milliseconds, shape ``(K,)`` each."""
        each = [self._by(one, np.eye(self.believed.mean.shape[1])) for one in self.components]
        return _mixed(self.components, [one[0] for one in each], [one[1] for one in each])

    def gains(self, candidates: Floats, asked: Floats) -> Floats:
        """How much measuring each candidate would lower the mean relative variance of the networks asked for.

        The variance is what each hypothesis leaves open, and how far the hypotheses lie apart; of the latter goes
        what the candidate tells apart, by the Bhattacharyya coefficient of its predictions.

        Args:
            candidates: Shape ``(H, C, K)``.
            asked: Shape ``(H, M, K)``.

        Returns:
            Shape ``(C,)``.
        """
        count, width = len(self.believed.weights), candidates.shape[1]
        total, weights = np.zeros(width), self.hypothesis_weights()
        logs, spreads, asked_logs = (
            np.zeros((count, width)),
            np.zeros((count, width)),
            np.zeros(asked.shape[:2]),
        )
        for one in self.components:
            at, share = one.hypothesis, one.weight / weights[one.hypothesis]
            (left, left_ms), (right, right_ms) = (
                self._relative(one, rows[at]) for rows in (candidates, asked)
            )
            shared = left @ right.T - (left @ one.removed.T) @ (right @ one.removed.T).T
            spread = np.maximum(squared(left) - squared(left @ one.removed.T), 0.0) + one.sigma**2
            total += one.weight * (shared**2).mean(axis=1) / spread
            logs[at] += share * np.log(left_ms)
            spreads[at] += share * spread
            asked_logs[at] += share * np.log(right_ms)
        for a, b in combinations(np.flatnonzero(weights), 2):
            apart = min(float(((asked_logs[a] - asked_logs[b]) ** 2).mean()), _MOST_APART)
            overlap = np.exp(-((logs[a] - logs[b]) ** 2) / (spreads[a] + spreads[b]) / 4.0)
            total += weights[a] * weights[b] * apart * (1.0 - overlap)
        return total

    def foreseen(self, candidates: Floats, asked: Floats, more_count: int) -> Floats:
        """Relative standard deviations of networks once ``more_count`` candidates more were measured.

        What they would measure need not be known: it does not enter a Gaussian's variance. The likeliest component
        stands for all.

        Returns:
            Shape ``(M,)``.
        """
        one = max(self.components, key=lambda component: component.weight)
        (left, _), (right, _) = (self._relative(one, rows[one.hypothesis]) for rows in (candidates, asked))
        left, right = (np.hstack([rows, rows @ one.removed.T]) for rows in (left, right))
        signs = np.concatenate([np.ones(len(one.solved)), -np.ones(len(one.removed))])
        own, asked_own = (left**2) @ signs, (right**2) @ signs
        shared = (left * signs) @ right.T
        among = (left * signs) @ left.T
        for _ in range(more_count):
            best = int(((shared**2).mean(axis=1) / (one.sigma**2 + np.maximum(own, 0.0))).argmax())
            scale = one.sigma**2 + max(float(own[best]), 0.0)
            asked_own = asked_own - shared[best] ** 2 / scale
            own = own - among[best] ** 2 / scale
            shared = shared - np.outer(among[:, best], shared[best]) / scale
            among = among - np.outer(among[:, best], among[best]) / scale
        deviations: Floats = np.sqrt(np.maximum(asked_own, 0.0) + one.sigma**2)
        return deviations

    def _relative(self, one: Component, rows: Floats) -> tuple[Floats, Floats]:
        """Rows in the factor's coordinates over the network's prediction, and the prediction, milliseconds."""
        own = rows @ self.believed.factor[one.hypothesis]
        mean_ms = np.maximum(self._mean(one, rows, own), _LEAST_PREDICTED * self.least_ms)
        return own * (one.scale_ms / mean_ms)[:, None], mean_ms

    def _by(self, one: Component, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and variance, without the networks' own noise."""
        own = rows @ self.believed.factor[one.hypothesis]
        spread = np.maximum(squared(own) - squared(own @ one.removed.T), 0.0)
        return self._mean(one, rows, own), one.scale_ms**2 * spread

    def _mean(self, one: Component, rows: Floats, own: Floats) -> Floats:
        mean: Floats = one.scale_ms * (rows @ self.believed.mean[one.hypothesis] + own @ one.solved)
        return mean


def squared(rows: Floats) -> Floats:
    """Squared length of each row, shape ``(N,)``."""
    lengths: Floats = np.einsum("nq,nq->n", rows, rows)
    return lengths


def _mixed(
    components: Sequence[Component], means: Sequence[Floats], variances: Sequence[Floats]
) -> tuple[Floats, Floats]:
    weights = np.array([one.weight for one in components])[:, None]
    mean = (weights * np.array(means)).sum(axis=0)
    variance = (weights * (np.array(variances) + (np.array(means) - mean) ** 2)).sum(axis=0)
    return mean, np.sqrt(variance)
