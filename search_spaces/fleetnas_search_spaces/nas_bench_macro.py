"""NAS-Bench-Macro: 6,561 codes, 3,969 networks, each trained three times on CIFAR-10 by its authors.

Source: Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021, and its public
repository xiusu/NAS-Bench-Macro (Apache-2.0).
"""

__all__ = ["NASBenchMacro"]

from collections.abc import Sequence
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.blocks import add_head, add_inverted_residual, add_stem, inverted_residual
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.choices import check_architecture, mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

_STAGES = ((64, 2), (128, 3), (256, 3))  # (channels, slots)
_STAGE_STARTS = (0, 2, 5)  # the slot of each stage that has stride 2
_SLOT_COUNT = 8
_STEM_CHANNELS = 32
_HIDDEN_CHANNELS = 1280
_CLASSES = 10
_EXPANSIONS = (0, 3, 6)
_KERNELS_PX = (0, 3, 5)


class NASBenchMacro:
    """Eight slots in stages of 2, 3, 3; in each 0 identity, 1 expansion 3 kernel 3, 2 expansion 6 kernel 5.

    The first slot of a stage has stride 2 and doubles the channels; an identity there is a 1 x 1 convolution of
    stride 2 with batch normalisation. An identity elsewhere is nothing at all, hence fewer networks than codes.
    """

    name = "nas-bench-macro"
    option_counts: Sequence[int] = (3,) * _SLOT_COUNT

    def __init__(self, resolution_px: int = 32) -> None:
        self._resolution_px = resolution_px

    @property
    def reference(self) -> Architecture:
        """The largest network, ``22222222``."""
        return self._made((2,) * _SLOT_COUNT)

    def sample(self, rng: Random) -> Architecture:
        return self._made(sample_choices(self.option_counts, rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        check_architecture(parent, self)
        return self._made(mutate_choices(parent.choices, self.option_counts, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Keeps the first slot of each stage and moves its other blocks to the left, before the identities."""
        check_architecture(architecture, self)
        choices: list[int] = []
        for start, (_, slots) in zip(_STAGE_STARTS, _STAGES, strict=True):
            rest = [digit for digit in architecture.choices[start + 1 : start + slots] if digit]
            choices += [architecture.choices[start], *rest, *[0] * (slots - 1 - len(rest))]
        return self._made(tuple(choices))

    def parse(self, text: str) -> Architecture:
        return self._made(parse_choices(text, self.option_counts, self.name))

    def format(self, architecture: Architecture) -> str:
        """The eight digits of the published table, e.g. ``"21020110"``."""
        check_architecture(architecture, self)
        return "".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        choices = self.canonical(architecture).choices
        builder = GraphBuilder(self._resolution_px)
        x = add_stem(builder, _STEM_CHANNELS, stride=1, activation=Activation.RELU)
        for stage, (start, (channels, slots)) in enumerate(zip(_STAGE_STARTS, _STAGES, strict=True)):
            for index, digit in enumerate(choices[start : start + slots]):
                x = _add_slot(builder, f"stage{stage}.block{index}", x, channels, digit, strided=index == 0)
        add_head(builder, x, hidden_channels=_HIDDEN_CHANNELS, classes=_CLASSES, activation=Activation.RELU)
        return builder.build()

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Per stage depth, sum of kernel sizes, sum of expansions; the choice in each strided slot; depth in all;
        log MACs; log parameters.
        """
        codes = [self.canonical(one).choices for one in architectures]
        digits = np.array(codes, dtype=np.intp).reshape(len(codes), _SLOT_COUNT)
        per_slot = (digits > 0, np.array(_KERNELS_PX)[digits], np.array(_EXPANSIONS)[digits])
        per_stage = [np.add.reduceat(values.astype(float), _STAGE_STARTS, axis=1) for values in per_slot]
        depth = per_stage[0].sum(axis=1, keepdims=True)
        return np.hstack([*per_stage, digits[:, _STAGE_STARTS], depth, np.log(self._costs(digits))])

    def _made(self, choices: tuple[int, ...]) -> Architecture:
        return Architecture(self.name, choices, self._resolution_px)

    def _costs(self, digits: NDArray[np.intp]) -> NDArray[np.float64]:
        """MACs and parameters, shape ``(N, 2)``: both are sums over slots, since no choice changes a width."""
        base, added = self._cost_table
        costs: NDArray[np.float64] = base + added[np.arange(_SLOT_COUNT), digits].sum(axis=1)
        return costs

    @cached_property
    def _cost_table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Costs of ``00000000``, and what each digit of each slot adds to them: shape ``(slots, 3, 2)``."""

        def cost(choices: tuple[int, ...]) -> NDArray[np.float64]:
            graph = self.graph(self._made(choices))
            return np.array([macs(graph), params(graph)], dtype=float)

        empty = (0,) * _SLOT_COUNT
        base = cost(empty)
        added = np.zeros((_SLOT_COUNT, 3, 2))
        for slot in range(_SLOT_COUNT):
            for digit in (1, 2):
                added[slot, digit] = cost((*empty[:slot], digit, *empty[slot + 1 :])) - base
        return base, added


def _add_slot(
    builder: GraphBuilder, name: str, source: Tensor, channels: int, digit: int, *, strided: bool
) -> Tensor:
    if digit:
        block = inverted_residual(
            source.channels,
            channels,
            source.size_px,
            kernel_px=_KERNELS_PX[digit],
            stride=2 if strided else 1,
            expansion=_EXPANSIONS[digit],
            activation=Activation.RELU,
            residual=not strided,
        )
        return add_inverted_residual(builder, name, source, block)
    if not strided:
        return source
    operator = Operator(
        OperatorKind.DOWNSAMPLE, source.channels, channels, source.size_px, stride=2, batch_norm=True
    )
    with builder.block(operator, name):
        return builder.conv("conv", source, channels, stride=2)
