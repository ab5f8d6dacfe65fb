"""NAS-Bench-201: one cell of six edges, repeated; 15,625 codes, each trained by its authors.

Source: Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.
"""

__all__ = ["NASBench201"]

import gzip
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.cell_201 import (
    CONV_3,
    EDGES,
    NONE,
    OPERATION_NAMES,
    POOL,
    SKIP,
    cell_features,
    representative,
)
from fleetnas_search_spaces.cell_signal import signal_features
from fleetnas_search_spaces.choices import check_architecture, mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

_WIDTHS = (16, 32, 64)
_CELLS_PER_STAGE = 5
_CLASSES = 10
_EDGE_TEXT = re.compile(r"([a-z0-9_]+)~([0-2])")


class NASBench201:
    """A cell of four nodes: an edge from each node to each later one carries nothing, a skip, ReLU-convolution-
    normalisation of 1 x 1 or 3 x 3, or 3 x 3 average pooling; a node is the sum of its edges.

    A stem, five cells of 16 channels, a residual block of stride 2, five cells of 32, another block, five cells of
    64, normalisation and ReLU, pooling, a linear layer. The latency of a framework that runs edges which lead
    nowhere follows the code as written, not its canonical form: ``fleetnas_latency`` looks at both.
    """

    name = "nas-bench-201"
    option_counts: Sequence[int] = (len(OPERATION_NAMES),) * len(EDGES)

    def __init__(self, resolution_px: int = 32) -> None:
        self._resolution_px = resolution_px

    @property
    def reference(self) -> Architecture:
        """The largest cell, 3 x 3 convolutions everywhere."""
        return self._made((CONV_3,) * len(EDGES))

    def sample(self, rng: Random) -> Architecture:
        return self._made(sample_choices(self.option_counts, rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        check_architecture(parent, self)
        return self._made(mutate_choices(parent.choices, self.option_counts, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        """The cell with the fewest edges of all that compute the same: nothing dead, no order of equal nodes."""
        check_architecture(architecture, self)
        return self._made(representative(architecture.choices))

    def parse(self, text: str) -> Architecture:
        """Reads six digits, ``"|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|..|"``, or a published index.

        The digits are the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3: 0 nothing, 1 skip, 2 convolution 1 x 1, 3 convolution
        3 x 3, 4 average pooling. One number of at most five digits is the index, 0 to 15624.
        """
        bare = text.strip()
        if "~" in bare:
            return self._made(_parse_published(bare))
        if bare.isascii() and bare.isdigit() and len(bare) < len(EDGES):
            return self._made(_at_index(int(bare)))
        return self._made(parse_choices(bare, self.option_counts, self.name))

    def format(self, architecture: Architecture) -> str:
        """The six digits, e.g. ``"421211"``."""
        check_architecture(architecture, self)
        return "".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        choices = self.canonical(architecture).choices
        builder = GraphBuilder(self._resolution_px)
        x = _add_stem(builder)
        for stage, width in enumerate(_WIDTHS):
            if stage:
                x = _add_basic_residual(builder, f"reduce{stage}", x, width)
            for index in range(_CELLS_PER_STAGE):
                x = _add_cell(builder, f"stage{stage}.cell{index}", x, choices)
        _add_head(builder, x)
        return builder.build()

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """What the canonical cell is made of, what its paths are like and how much of the signal goes by them."""
        return np.array([_described(self.canonical(one).choices) for one in architectures], dtype=float)

    def _made(self, choices: tuple[int, ...]) -> Architecture:
        return Architecture(self.name, choices, self._resolution_px)


@cache
def _described(cell: tuple[int, ...]) -> tuple[float, ...]:
    """Of a canonical cell; a third of the codes are one."""
    return *cell_features(cell), *signal_features(cell)


def _parse_published(text: str) -> tuple[int, ...]:
    found = _EDGE_TEXT.findall(text)
    sources = [str(source) for source, _ in EDGES]
    if [source for _, source in found] != sources or any(name not in OPERATION_NAMES for name, _ in found):
        raise InvalidArgumentError(
            f"'{' '.join(text.split())[:120]}' is no cell of space 'nas-bench-201': give "
            "'|a~0|+|b~0|c~1|+|d~0|e~1|f~2|' with operations out of " + ", ".join(OPERATION_NAMES) + "."
        )
    return tuple(OPERATION_NAMES.index(name) for name, _ in found)


def _at_index(index: int) -> tuple[int, ...]:
    order = _published_order()
    if index >= len(order):
        raise InvalidArgumentError(
            f"{index} is no index of space 'nas-bench-201': they run to {len(order) - 1}; codes have six digits."
        )
    return tuple(map(int, order[index]))


@cache
def _published_order() -> list[str]:
    content = files("fleetnas_search_spaces.published").joinpath("nas_bench_201_order.txt.gz").read_bytes()
    return gzip.decompress(content).decode().split()


def _add_stem(builder: GraphBuilder) -> Tensor:
    source, width = builder.input, _WIDTHS[0]
    operator = Operator(
        OperatorKind.STEM,
        source.channels,
        width,
        source.size_px,
        kernel_px=3,
        padding_px=1,
        batch_norm=True,
    )
    with builder.block(operator, "stem"):
        return builder.conv("conv", source, width, kernel_px=3)


def _add_cell(builder: GraphBuilder, name: str, source: Tensor, choices: tuple[int, ...]) -> Tensor:
    nodes: list[Tensor | None] = [source]
    for target in (1, 2, 3):
        total: Tensor | None = None
        for (start, end), choice in zip(EDGES, choices, strict=True):
            begin = nodes[start] if end == target else None
            if begin is None or choice == NONE:
                continue
            edge = _add_edge(builder, f"{name}.edge{start}{end}", begin, choice)
            total = edge if total is None else _add_sum(builder, f"{name}.sum{start}{end}", total, edge)
        nodes.append(total)
    if nodes[3] is not None:
        return nodes[3]
    with builder.block(Operator(OperatorKind.ZERO, source.channels, source.channels, source.size_px), name):
        return builder.zero("zero", source)


def _add_edge(builder: GraphBuilder, name: str, source: Tensor, choice: int) -> Tensor:
    channels, size_px = source.channels, source.size_px
    if choice == SKIP:
        return source
    if choice == POOL:
        kind = OperatorKind.AVERAGE_POOL
        operator = Operator(kind, channels, channels, size_px, kernel_px=3, padding_px=1)
        with builder.block(operator, name):
            return builder.pool("pool", source, kind=kind, kernel_px=3)
    kernel_px = 3 if choice == CONV_3 else 1
    operator = Operator(
        OperatorKind.RELU_CONV,
        channels,
        channels,
        size_px,
        kernel_px=kernel_px,
        padding_px=kernel_px // 2,
        activation=Activation.RELU,
        batch_norm=True,
    )
    with builder.block(operator, name):
        x = builder.activation("relu", source, Activation.RELU)
        return builder.conv("conv", x, channels, kernel_px=kernel_px)


def _add_sum(builder: GraphBuilder, name: str, left: Tensor, right: Tensor) -> Tensor:
    with builder.block(Operator(OperatorKind.ADD, left.channels, left.channels, left.size_px), name):
        return builder.add("add", left, right)


def _add_basic_residual(builder: GraphBuilder, name: str, source: Tensor, width: int) -> Tensor:
    """Two ReLU-convolutions of 3 x 3, the first of stride 2; beside them average pooling and a 1 x 1 convolution."""
    operator = Operator(
        OperatorKind.BASIC_RESIDUAL,
        source.channels,
        width,
        source.size_px,
        kernel_px=3,
        stride=2,
        padding_px=1,
        activation=Activation.RELU,
        batch_norm=True,
        residual=True,
    )
    with builder.block(operator, name):
        x = builder.activation("relu0", source, Activation.RELU)
        x = builder.conv("conv0", x, width, kernel_px=3, stride=2, activation=Activation.RELU)
        x = builder.conv("conv1", x, width, kernel_px=3)
        pooled = builder.pool(
            "pool", source, kind=OperatorKind.AVERAGE_POOL, kernel_px=2, stride=2, padding_px=0
        )
        shortcut = builder.conv("shortcut", pooled, width, batch_norm=False)
        return builder.add("add", x, shortcut)


def _add_head(builder: GraphBuilder, source: Tensor) -> None:
    operator = Operator(
        OperatorKind.HEAD,
        source.channels,
        _CLASSES,
        source.size_px,
        activation=Activation.RELU,
        batch_norm=True,
        bias=True,
    )
    with builder.block(operator, "head"):
        x = builder.batch_norm("norm", source, activation=Activation.RELU)
        x = builder.global_average_pool("pool", x)
        builder.linear("linear", x, _CLASSES)
