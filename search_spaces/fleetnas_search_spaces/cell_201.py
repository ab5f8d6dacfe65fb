"""The cells of NAS-Bench-201: which edges live, which codes compute the same, what paths there are."""

__all__ = [
    "CONV_1",
    "CONV_3",
    "EDGES",
    "NONE",
    "OPERATION_NAMES",
    "PATHS",
    "POOL",
    "SKIP",
    "backward_live",
    "cell_features",
    "forward_live",
    "path_operations",
    "representative",
    "zero_folded",
]

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import cache

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) of each choice; node 0 is the cell's input, node 3 its output."""
OPERATION_NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

NONE, SKIP, CONV_1, CONV_3, POOL = range(len(OPERATION_NAMES))
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The edges of each way from input to output."""


def forward_live(choices: Sequence[int]) -> tuple[bool, ...]:
    """For each edge whether it carries something: an operation, and a way to it from the input."""
    reached = {0}
    live = []
    for (start, end), choice in sorted(zip(EDGES, choices, strict=True), key=lambda one: one[0][1]):
        live.append(choice != NONE and start in reached)
        if live[-1]:
            reached.add(end)
    return tuple(live)


def backward_live(choices: Sequence[int]) -> tuple[bool, ...]:
    """For each edge whether what it carries can reach the output."""
    reaching = {3}
    live = [False] * len(EDGES)
    for index in sorted(range(len(EDGES)), key=lambda one: -EDGES[one][1]):
        start, end = EDGES[index]
        live[index] = choices[index] != NONE and end in reaching
        if live[index]:
            reaching.add(start)
    return tuple(live)


def zero_folded(choices: Sequence[int]) -> tuple[bool, ...]:
    """For each edge whether it runs where a product with zero is folded into the weights before it.

    What reaches the output runs, and so does a lone operation into a node out of which nothing is carried: it became
    a convolution with weights of zero. A sum before such a node is dropped. Found in HW-NAS-Bench's pixel3 column.
    """
    runs = [False] * len(EDGES)
    for node in (3, 2, 1):
        arriving = [index for index, (_, end) in enumerate(EDGES) if end == node and choices[index] != NONE]
        leaving = [index for index, (start, _) in enumerate(EDGES) if start == node]
        lone = len(arriving) == 1 and all(choices[index] == NONE for index in leaving)
        wanted = node == 3 or lone or any(runs[index] for index in leaving)
        for index in arriving:
            runs[index] = wanted
    return tuple(runs)


def path_operations(choices: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The operations along each way from input to output that has one on every edge."""
    walked = (tuple(choices[edge] for edge in path) for path in PATHS)
    return tuple(path for path in walked if NONE not in path)


def representative(choices: tuple[int, ...]) -> tuple[int, ...]:
    """The code of fewest edges, then the smallest, among those that compute the same function.

    A convolution of nothing counts as nothing (its normalisation's shift is left out of account), a skip is its
    input, a sum does not depend on the order of its terms: 15,625 codes are 5,425 functions.
    """
    return _representatives()[_function(choices)]


def cell_features(choices: Sequence[int]) -> tuple[float, ...]:
    """19 numbers that know the cell, after Dong and Yang's observation that its paths decide.

    Args:
        choices: Of a canonical cell.

    Returns:
        Counts of the four operations; live paths; over paths most, fewest and mean number of convolutions and of
        3 x 3 ones, most and fewest poolings; whether a path is only skips, only skips and poolings; whether there
        is no path, no convolution; log convolution work; the longest path.
    """
    counts = [list(choices).count(operation) for operation in (SKIP, CONV_1, CONV_3, POOL)]
    paths = path_operations(choices)
    convs = [sum(one in (CONV_1, CONV_3) for one in path) for path in paths] or [0]
    wide = [path.count(CONV_3) for path in paths] or [0]
    pools = [path.count(POOL) for path in paths] or [0]
    return (
        *map(float, counts),
        float(len(paths)),
        *(float(value) for values in (convs, wide) for value in (max(values), min(values), _mean(values))),
        float(max(pools)),
        float(min(pools)),
        float(any(set(path) == {SKIP} for path in paths)),
        float(any(set(path) <= {SKIP, POOL} for path in paths)),
        float(not paths),
        float(not (counts[1] or counts[2])),
        math.log1p(counts[1] + 9.0 * counts[2]),
        float(max((len(path) for path in paths), default=0)),
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def _function(choices: Sequence[int]) -> str:
    """Text of what the cell computes; equal for equal functions.

    Behind the sum that reaches the output stand the operations that live, each once: the same convolution
    twice in a sum is another function than two convolutions.
    """
    nodes: list[tuple[str, ...]] = [("x",)]
    for target in (1, 2, 3):
        nodes.append(tuple(sorted(_terms(choices, nodes, target))))
    live = backward_live(choices)
    made = [
        _operation(choice, nodes[start])
        for (start, _), choice, lives in zip(EDGES, choices, live, strict=True)
        if lives and choice != SKIP and nodes[start]
    ]
    return "+".join(nodes[3]) + "|" + ",".join(sorted(made))


def _terms(choices: Sequence[int], nodes: Sequence[tuple[str, ...]], target: int) -> Iterator[str]:
    """What is summed up in a node; a skip of a sum is its terms."""
    for (start, end), choice in zip(EDGES, choices, strict=True):
        if end != target or choice == NONE or not nodes[start]:
            continue
        if choice == SKIP:
            yield from nodes[start]
        else:
            yield _operation(choice, nodes[start])


def _operation(choice: int, terms: Sequence[str]) -> str:
    return f"{choice}({'+'.join(terms)})"


@cache
def _representatives() -> dict[str, tuple[int, ...]]:
    """By function; 0.07 s, once."""
    codes = itertools.product(range(len(OPERATION_NAMES)), repeat=len(EDGES))
    chosen: dict[str, tuple[int, ...]] = {}
    for choices in sorted(codes, key=lambda one: (len(EDGES) - one.count(NONE), one)):
        chosen.setdefault(_function(choices), choices)
    return chosen
