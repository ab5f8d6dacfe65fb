"""The one graph that every exporter, counter and trainer reads."""

__all__ = ["INPUT", "Graph", "Node"]

from dataclasses import dataclass

from fleetnas_search_spaces.operators import Operator

INPUT = "input"
"""Name of the graph's input in ``Node.inputs``."""


@dataclass(frozen=True, slots=True)
class Node:
    """One primitive operator of a graph.

    Attributes:
        name: Unique in the graph and stable between architectures, e.g. ``"stage2.block0.depthwise"``.
        inputs: Names of the nodes (or ``INPUT``) it reads, in order.
        block: Index into ``Graph.blocks`` of the block it belongs to.
    """

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    block: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A network: primitives in topological order, grouped into blocks.

    Attributes:
        input_shape: ``(channels, height_px, width_px)`` of one image.
        nodes: The last node is the output.
        blocks: What a runtime fuses and the latency table learns; every node belongs to exactly one.
    """

    input_shape: tuple[int, int, int]
    nodes: tuple[Node, ...]
    blocks: tuple[Operator, ...]
