"""A space that a plug-in brings: what breaks in it is told in one line that names it."""

__all__ = ["guarded_space"]

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, FleetNASError
from fleetnas_search_spaces.graph import Graph

Answer = TypeVar("Answer")


def guarded_space(name: str, space: SearchSpace) -> SearchSpace:
    """``space``, whose errors are FailedPreconditionError with the plug-in's name; our own errors pass.

    Raises:
        FailedPreconditionError: Its reference has no graph, or another one each time.
    """
    guarded = _GuardedSpace(name, space)
    if guarded.graph(space.reference) != guarded.graph(space.reference):
        raise _failure(name, "graph", "two graphs of one architecture that differ")
    guarded.features([space.reference])
    return guarded


class _GuardedSpace:
    """A ``SearchSpace``."""

    def __init__(self, name: str, space: SearchSpace) -> None:
        self._name = name
        self._space = space

    @property
    def name(self) -> str:
        return self._space.name

    @property
    def option_counts(self) -> Sequence[int]:
        return self._space.option_counts

    @property
    def reference(self) -> Architecture:
        return self._space.reference

    def sample(self, rng: Random) -> Architecture:
        return self._call("sample", lambda: self._space.sample(rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        return self._call("mutate", lambda: self._space.mutate(parent, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        return self._call("canonical", lambda: self._space.canonical(architecture))

    def parse(self, text: str) -> Architecture:
        return self._call("parse", lambda: self._space.parse(text))

    def format(self, architecture: Architecture) -> str:
        return self._call("format", lambda: self._space.format(architecture))

    def graph(self, architecture: Architecture) -> Graph:
        return self._call("graph", lambda: self._space.graph(architecture))

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        found = self._call("features", lambda: self._space.features(architectures))
        shape = np.shape(found)
        if len(shape) != 2 or shape[0] != len(architectures) or not np.isfinite(found).all():
            wanted = f"({len(architectures)}, F)"
            raise _failure(self._name, "features", f"shape {shape} where {wanted} of finite numbers is due")
        return found

    def _call(self, step: str, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except FleetNASError:
            raise
        except Exception as error:
            raise _failure(self._name, step, f"{type(error).__name__}: {error}") from error


def _failure(name: str, step: str, reason: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"the plug-in of search space '{name}' fails in {step} with {' '.join(reason.split())}: repair or "
        "uninstall it."
    )
