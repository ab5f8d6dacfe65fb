"""What was trained, as an accuracy model learns from it: networks with accuracies, at one fidelity or several."""

__all__ = ["LEAST_NETWORKS", "Training", "Trainings"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError

LEAST_NETWORKS = 10
"""With fewer nothing can be said of the tenth that may lie outside a 90 % interval."""

_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Training:
    """One value of one network.

    Attributes:
        architecture: Canonical.
        value: Top-1 in percent; of a proxy, whatever it measures.
        level: The fidelity it was trained at, or the proxy's name.
    """

    architecture: Architecture
    value: float
    level: str = ""


@dataclass(frozen=True, slots=True)
class Trainings:
    """A data set.

    Attributes:
        rows: Several of one network at one level are repeated trainings.
        levels: Cheapest first; the last is the one that is predicted.
        proxies: Those of ``levels`` whose values are no accuracies.

    Raises:
        InvalidArgumentError: Fewer than ten networks at the last level, over 5,000 rows, or an accuracy that is none.
    """

    space: SearchSpace
    rows: tuple[Training, ...]
    levels: tuple[str, ...] = ("",)
    proxies: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for one in self.rows:
            self._check(one)
        top = self.at(self.levels[-1])
        networks = len({one.architecture for one in top})
        if networks < LEAST_NETWORKS:
            raise InvalidArgumentError(
                f"{networks} different networks{self._at_level} have an accuracy: give at least {LEAST_NETWORKS}."
            )
        if len(self.rows) > _MOST:
            raise InvalidArgumentError(f"{len(self.rows)} trainings are too many: give at most {_MOST}.")
        if max(one.value for one in top) <= 1.0:
            raise InvalidArgumentError(
                "every accuracy is at most 1: give percent (93.1), not shares (0.931)."
            )

    def at(self, level: str) -> tuple[Training, ...]:
        """The rows of a level; exactly repeated values count once where every repeat is one."""
        rows = tuple(one for one in self.rows if one.level == level)
        return rows if self.noisy(level) else tuple(dict.fromkeys(rows))

    def noisy(self, level: str) -> bool:
        """Whether repeated trainings differ; without any repeat they might."""
        rows = [one for one in self.rows if one.level == level]
        values = {(one.architecture, one.value) for one in rows}
        networks = {one.architecture for one in rows}
        return len(networks) == len(rows) or len(values) > len(networks)

    def _check(self, one: Training) -> None:
        proxy = one.level in self.proxies
        if not np.isfinite(one.value) or (not proxy and not 0.0 <= one.value <= 100.0):
            name = self.space.format(one.architecture)
            raise InvalidArgumentError(
                f"'{name}' has {one.value} as its {one.level if proxy else 'accuracy'}: give accuracies in percent, "
                "0 to 100, and leave failed trainings out."
            )

    @property
    def _at_level(self) -> str:
        return f" at fidelity '{self.levels[-1]}'" if self.levels[-1] else ""

    @staticmethod
    def of(
        space: SearchSpace, architectures: Sequence[Architecture], accuracies_percent: Sequence[float]
    ) -> "Trainings":
        """At one fidelity; InvalidArgumentError where the lengths differ."""
        if len(architectures) != len(accuracies_percent):
            raise InvalidArgumentError(
                f"{len(architectures)} architectures came with {len(accuracies_percent)} accuracies: one each."
            )
        pairs = zip(architectures, accuracies_percent, strict=True)
        return Trainings(space, tuple(Training(space.canonical(one), float(value)) for one, value in pairs))
