"""Architectures as rows of numbers."""

__all__ = ["Inputs", "Scores"]

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Scores(Protocol):
    """Numbers of an untrained network that may tell something of its accuracy."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def values(self, architectures: Sequence[Architecture]) -> Floats:
        """Shape ``(len(architectures), len(names))``, finite."""
        ...

    def only(self, names: tuple[str, ...]) -> "Scores":
        """Some of them."""
        ...


class Inputs:
    """Standardises features, and scores behind them, as they are spread over some architectures; numbers networks.

    Args:
        architectures: Canonical; those that are learned from.
    """

    def __init__(
        self, space: SearchSpace, architectures: Sequence[Architecture], scores: Scores | None
    ) -> None:
        self._space = space
        self.scores = scores
        self._numbers: dict[Architecture, int] = {}
        for one in architectures:
            self._numbers.setdefault(one, len(self._numbers))
        raw = self._raw(architectures)
        self._centre, self._spread = raw.mean(axis=0), raw.std(axis=0)
        self._spread[self._spread < 1e-12] = 1.0
        self.feature_count = raw.shape[1] - (len(scores.names) if scores else 0)

    def __call__(self, architectures: Sequence[Architecture]) -> tuple[Floats, Ints]:
        """Standardised numbers, shape ``(N, feature_count + scores)``, and the networks' numbers, shape ``(N,)``."""
        canonical = [self._space.canonical(one) for one in architectures]
        ids = [self._numbers.setdefault(one, len(self._numbers)) for one in canonical]
        return (self._raw(canonical) - self._centre) / self._spread, np.array(ids, dtype=np.int64)

    def _raw(self, architectures: Sequence[Architecture]) -> Floats:
        features = self._space.features(architectures)
        return features if self.scores is None else np.hstack([features, self.scores.values(architectures)])
