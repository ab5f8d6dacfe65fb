"""What a family of models learns from, and what it gives back."""

__all__ = ["Family", "Held", "Learned", "Regressor", "Settings", "TrainingSet", "fold_numbers"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Settings = Mapping[str, Any]
"""What a model learned, as JSON has it: with the same data it gives the same model."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Trainings as numbers.

    Attributes:
        features: Standardised, shape ``(N, D)``.
        ids: Number of the network in each row, shape ``(N,)``; equal numbers are trainings of one network.
        targets: Standardised, shape ``(N,)``.
        known_variance: What is known of each target's own variance, shape ``(N,)``.
        noisy: Whether training one network again may give another target.
    """

    features: Floats
    ids: Ints
    targets: Floats
    known_variance: Floats
    noisy: bool

    def rows(self, chosen: NDArray[np.bool_]) -> "TrainingSet":
        """Some of the trainings; ``chosen`` has shape ``(N,)``."""
        return replace(
            self,
            features=self.features[chosen],
            ids=self.ids[chosen],
            targets=self.targets[chosen],
            known_variance=self.known_variance[chosen],
        )


@dataclass(frozen=True, slots=True)
class Held:
    """Each training, predicted from the trainings of all other networks.

    Attributes:
        mean, variance: Shape ``(N,)``; the variance is a training's, without what was known beforehand.
    """

    mean: Floats
    variance: Floats


@dataclass(frozen=True, slots=True)
class Learned:
    """What ``Family.learn`` gives: enough to restore the model, and how it does on what it has not seen."""

    settings: Settings
    held: Held


class Regressor(Protocol):
    """A fitted model."""

    @property
    def noise_variance(self) -> float:
        """Of one training around what ``predict`` says of its network."""
        ...

    def predict(self, features: Floats, ids: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of the networks' own means, each of shape ``(len(features),)``."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model.

    Attributes:
        name: As users write it.
        learn: Fits it.
        restore: The fitted model of what ``learn`` gave, the same to the last bit, without fitting again.
        package, extra: What ``learn`` imports, and which extra of FleetNAS brings it; empty where nothing is needed.
    """

    name: str
    learn: Callable[[TrainingSet], Learned]
    restore: Callable[[TrainingSet, Settings], Regressor]
    package: str = ""
    extra: str = ""


def fold_numbers(ids: Ints, count: int = 10) -> Ints:
    """Splits networks, with all their trainings, into ``count`` parts of one size; the same at each call.

    Returns:
        Number of the part of each row, shape ``(N,)``.
    """
    networks, rows = np.unique(ids, return_inverse=True)
    numbers = np.arange(len(networks)) % min(count, len(networks))
    shuffled: Ints = np.random.default_rng(len(networks)).permutation(numbers)[rows]
    return shuffled
