"""A Gaussian process that learns while a search runs: when to refit, what to keep."""

__all__ = ["PoolModel"]

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from fleetnas_training.kernel import Kernel, fit_kernel
from fleetnas_training.maximin import maximin
from fleetnas_training.pool_posterior import PoolPosterior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FIRST_FIT = 12
_GROWTH = 1.3
"""Settings are learned again when the data grew by this factor: 23 times between 12 and 5,000 observations."""

_AT_ONCE = 250
"""Up to so many observations new settings are put to use at once."""

_ACTIVE = 450
_ACTIVE_ROOM = 150
"""Rows a rebuild keeps, and how many more may follow before the next one: together they bound time and memory."""


class PoolModel:
    """Predicts a quantity for every candidate of a pool, in the quantity's own unit.

    Args:
        pool: Standardised features of the candidates, shape ``(M, D)``.
        pool_ids: Number of the architecture of each candidate, shape ``(M,)``.
        noisy: Whether repeated observations of one architecture differ.
        fine: Prior median of the per-architecture term and the noise, as a share of the quantity's spread.
        focus: The value near which predictions matter most; None: the higher, the more.
    """

    def __init__(
        self,
        pool: Floats,
        pool_ids: Ints,
        *,
        noisy: bool,
        fine: float,
        focus: float | None = None,
    ) -> None:
        self._pool = pool.copy()
        self._pool_ids = pool_ids.copy()
        self._focus = focus
        self._prior = Kernel.prior(pool.shape[1], noisy=noisy, fine=fine)
        self._kernel = self._prior
        self._learned: Kernel | None = None
        self._features: list[Floats] = []
        self._ids: list[int] = []
        self._targets: list[float] = []
        self._known_variance: list[float] = []
        self._next_fit = _FIRST_FIT
        self._centre = 0.0
        self._scale = 1.0
        self._posterior = PoolPosterior(self._kernel, self._pool, self._pool_ids)

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def row_count(self) -> int:
        """Observations that predictions rest on; fewer than were made once these are many."""
        return len(self._posterior)

    @property
    def kernel(self) -> Kernel:
        return self._kernel

    @property
    def mean(self) -> Floats:
        """Of every candidate, shape ``(M,)``."""
        return self._centre + self._scale * self._posterior.mean

    @property
    def variance(self) -> Floats:
        """Of every candidate's mean, without the noise of a new observation; shape ``(M,)``."""
        return self._scale**2 * self._posterior.variance

    @property
    def noise_variance(self) -> float:
        """Of one more observation around its architecture's mean."""
        return (self._scale * self._kernel.noise) ** 2

    def observe(self, features: Floats, architecture_id: int, target: float, known_variance: float) -> None:
        """Learns from one observation.

        Args:
            features: Standardised, shape ``(D,)``.
            known_variance: What is known of the observation's own variance; adds to the learned noise.
        """
        self._features.append(features)
        self._ids.append(architecture_id)
        self._targets.append(target)
        self._known_variance.append(known_variance)
        if self._learned is not None:
            self._adopt(self._learned)
        elif len(self) < _FIRST_FIT or len(self._posterior) >= _ACTIVE + _ACTIVE_ROOM:
            self._adopt(self._kernel)
        elif len(self) >= self._next_fit:
            self._refit(features, architecture_id, target, known_variance)
        else:
            self._append(features, architecture_id, target, known_variance)

    @contextmanager
    def believing(self, features: Floats, architecture_ids: Sequence[int]) -> Iterator[None]:
        """Inside, one more observation of each came out as predicted: variances shrink, means stay.

        Args:
            features: Standardised, shape ``(K, D)``.
        """
        before = self._posterior.snapshot()
        for row, architecture_id in zip(features, architecture_ids, strict=True):
            self._posterior.believe(row, architecture_id, self._kernel.noise_variance)
        try:
            yield
        finally:
            self._posterior.forget(before)

    def replace(self, columns: Ints, pool: Floats, pool_ids: Ints) -> None:
        """Puts other candidates into some columns of the pool."""
        self._pool[columns], self._pool_ids[columns] = pool, pool_ids
        self._posterior.replace(columns, pool, pool_ids)

    def _append(self, features: Floats, architecture_id: int, target: float, known_variance: float) -> None:
        noise = self._kernel.noise_variance + known_variance / self._scale**2
        self._posterior.append(features, architecture_id, (target - self._centre) / self._scale, noise)

    def _refit(self, features: Floats, architecture_id: int, target: float, known_variance: float) -> None:
        """Learns the settings; with many observations the rebuild waits for the next one, as both take long."""
        self._next_fit = math.ceil(_GROWTH * len(self))
        learned = self._fit()
        if len(self) <= _AT_ONCE:
            self._adopt(learned)
        else:
            self._learned = learned
            self._append(features, architecture_id, target, known_variance)

    def _fit(self) -> Kernel:
        targets = np.array(self._targets)
        scale = float(targets.std()) or 1.0
        known = np.array(self._known_variance) / scale**2
        features, ids = np.stack(self._features), np.array(self._ids)
        return fit_kernel(self._kernel, self._prior, features, ids, (targets - targets.mean()) / scale, known)

    def _adopt(self, kernel: Kernel) -> None:
        """Starts anew with these settings, on the spread of all targets so far."""
        targets = np.array(self._targets)
        self._centre = float(targets.mean())
        self._scale = float(targets.std()) or 1.0
        self._kernel, self._learned = kernel, None
        self._rebuild()

    def _rebuild(self) -> None:
        rows = self._active()
        features = np.stack(self._features)[rows]
        targets = (np.array(self._targets)[rows] - self._centre) / self._scale
        noise = self._kernel.noise_variance + np.array(self._known_variance)[rows] / self._scale**2
        self._posterior = PoolPosterior(self._kernel, self._pool, self._pool_ids)
        self._posterior.condition(features, np.array(self._ids)[rows], targets, noise)

    def _active(self) -> Ints:
        """Rows that enter: all while they are few; then the best, the newest and the most different third each."""
        count = len(self)
        if count <= _ACTIVE:
            return np.arange(count)
        targets = np.array(self._targets)
        merit = targets if self._focus is None else -np.abs(targets - self._focus)
        newest = np.arange(count - _ACTIVE // 3, count)
        best = np.argsort(-merit, kind="stable")[: _ACTIVE // 3]
        kept = np.union1d(newest, best)
        rest = np.setdiff1d(np.arange(count), kept)
        some = np.concatenate([kept, rest[:: max(1, len(rest) // _ACTIVE)]])  # all of thousands take 0.2 s
        points = np.stack([self._features[row] for row in some])
        return np.sort(some[maximin(points, _ACTIVE, np.arange(len(kept)))])
