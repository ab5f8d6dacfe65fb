"""Caps that need no device: what follows from the architecture alone."""

__all__ = ["ExactCaps", "exact_count", "exact_counts"]

from collections.abc import Callable, Mapping
from typing import Any

from fleetnas_controller.strategies.strategy import CapKind, Problem
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.memory import model_bytes, peak_memory_bytes

_COUNTERS: Mapping[CapKind, Callable[[Graph], int]] = {
    CapKind.MACS: macs,
    CapKind.PARAMS: params,
    CapKind.MODEL_BYTES: model_bytes,
    CapKind.MEMORY_BYTES: peak_memory_bytes,
}


def exact_count(kind: CapKind, graph: Graph) -> int:
    """The quantity of a network; any kind but the latency."""
    return _COUNTERS[kind](graph)


def exact_counts(graph: Graph) -> dict[str, Any]:
    """Every such quantity by the name it has in outcomes and trials."""
    return {str(kind): count(graph) for kind, count in _COUNTERS.items()}


class ExactCaps:
    """The exact caps of a problem, checked before anything is trained or measured."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._limits = [(cap.kind, cap.limit) for cap in problem.caps if cap.kind is not CapKind.LATENCY_MS]
        self._known: dict[str, float] = {}

    def violation(self, architecture: Architecture) -> float:
        """Sum of the relative excesses over the exact caps; 0 when all are kept. Remembered by key."""
        if not self._limits:
            return 0.0
        known = self._known.get(architecture.key)
        if known is None:
            graph = self._space.graph(architecture)
            known = sum(max(0.0, exact_count(kind, graph) / limit - 1.0) for kind, limit in self._limits)
            self._known[architecture.key] = known
        return known
