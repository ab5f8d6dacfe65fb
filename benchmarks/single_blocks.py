"""Blocks of a space as networks of their own, to be measured alone."""

__all__ = ["block_graphs", "call_graph"]

from collections.abc import Iterable

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind


def block_graphs(space: SearchSpace, architectures: Iterable[Architecture]) -> dict[Operator, Graph]:
    """Every block that the networks run, each with a graph of its own, in the order they are met."""
    found: dict[Operator, Graph] = {}
    for architecture in architectures:
        graph = space.graph(architecture)
        for index, block in enumerate(graph.blocks):
            if block not in found:
                found[block] = _alone(graph, index)
    return found


def call_graph() -> Graph:
    """As little as a runtime can be asked to do: what a call costs without a network."""
    one = Operator(OperatorKind.CONV, 1, 1, 1, activation=Activation.RELU)
    return Graph((1, 1, 1), (Node("call", one, (INPUT,), 0),), (one,))


def _alone(graph: Graph, index: int) -> Graph:
    """The nodes of one block; whatever they read from outside it is the input."""
    nodes = [one for one in graph.nodes if one.block == index]
    names = {one.name for one in nodes}
    inside = tuple(
        Node(one.name, one.operator, tuple(name if name in names else INPUT for name in one.inputs), 0)
        for one in nodes
    )
    first = nodes[0].operator
    return Graph((first.in_channels, first.in_px, first.in_px), inside, (graph.blocks[index],))
