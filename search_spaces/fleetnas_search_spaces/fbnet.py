"""FBNet's space at CIFAR size: 22 slots, in each one of eight blocks or a skip, as HW-NAS-Bench measured it.

Source: Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019 (the slots and blocks); Li et al., "HW-NAS-Bench", ICLR 2021 (32 x 32 input, strides, 1504 channels
before the classifier, 100 classes). The published latencies of the second agree: slots of one shape have equal
entries.
"""

__all__ = ["FBNet"]

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

_STAGES = ((16, 1, 1), (24, 4, 1), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""(channels, slots, stride of the first slot) of each stage."""
_STAGE_STARTS = (0, 1, 5, 9, 13, 17, 21)
_BLOCKS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
"""(kernel in pixels, expansion, groups) of each digit; the digit after them skips."""
_SKIP = len(_BLOCKS)
_SLOT_COUNT = 22
_STEM_CHANNELS = 16
_HIDDEN_CHANNELS = 1504
_CLASSES = 100
_KERNELS_PX = (*(block[0] for block in _BLOCKS), 0)
_EXPANSIONS = (*(block[1] for block in _BLOCKS), 0)


class FBNet:
    """Digits 0 to 7: kernel 3 and then 5, each with expansion 1, 1 in two groups, 3, 6; digit 8 skips the slot.

    A skip in the first slot of a stage that changes the width is a 1 x 1 convolution with batch normalisation and
    ReLU; anywhere else it is nothing at all, hence fewer networks than codes.
    """

    name = "fbnet"
    option_counts: Sequence[int] = (_SKIP + 1,) * _SLOT_COUNT

    def __init__(self, resolution_px: int = 32) -> None:
        self._resolution_px = resolution_px

    @property
    def reference(self) -> Architecture:
        """The largest network: expansion 6 and kernel 5 in every slot."""
        return self._made((7,) * _SLOT_COUNT)

    def sample(self, rng: Random) -> Architecture:
        return self._made(sample_choices(self.option_counts, rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        check_architecture(parent, self)
        return self._made(mutate_choices(parent.choices, self.option_counts, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Keeps the first slot of each stage and moves its other blocks to the left, before the skips."""
        check_architecture(architecture, self)
        choices: list[int] = []
        for start, (_, slots, _) in zip(_STAGE_STARTS, _STAGES, strict=True):
            rest = [digit for digit in architecture.choices[start + 1 : start + slots] if digit != _SKIP]
            choices += [architecture.choices[start], *rest, *[_SKIP] * (slots - 1 - len(rest))]
        return self._made(tuple(choices))

    def parse(self, text: str) -> Architecture:
        return self._made(parse_choices(text, self.option_counts, self.name))

    def format(self, architecture: Architecture) -> str:
        """The 22 digits of the published table."""
        check_architecture(architecture, self)
        return "".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        choices = self.canonical(architecture).choices
        builder = GraphBuilder(self._resolution_px)
        x = add_stem(builder, _STEM_CHANNELS, stride=1, activation=Activation.RELU)
        for stage, (start, (channels, slots, stride)) in enumerate(zip(_STAGE_STARTS, _STAGES, strict=True)):
            for index, digit in enumerate(choices[start : start + slots]):
                x = _add_slot(
                    builder, f"stage{stage}.block{index}", x, channels, digit, stride if index == 0 else 1
                )
        add_head(builder, x, hidden_channels=_HIDDEN_CHANNELS, classes=_CLASSES, activation=Activation.RELU)
        return builder.build()

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Per stage depth, sum of kernel sizes, sum of expansions; depth in all; log MACs; log parameters."""
        codes = [self.canonical(one).choices for one in architectures]
        digits = np.array(codes, dtype=np.intp).reshape(len(codes), _SLOT_COUNT)
        per_slot = (digits != _SKIP, np.array(_KERNELS_PX)[digits], np.array(_EXPANSIONS)[digits])
        per_stage = [np.add.reduceat(values.astype(float), _STAGE_STARTS, axis=1) for values in per_slot]
        depth = per_stage[0].sum(axis=1, keepdims=True)
        return np.hstack([*per_stage, depth, np.log(self._costs(digits))])

    def _made(self, choices: tuple[int, ...]) -> Architecture:
        return Architecture(self.name, choices, self._resolution_px)

    def _costs(self, digits: NDArray[np.intp]) -> NDArray[np.float64]:
        """MACs and parameters, shape ``(N, 2)``: both are sums over slots, since no choice changes a width."""
        base, added = self._cost_table
        costs: NDArray[np.float64] = base + added[np.arange(_SLOT_COUNT), digits].sum(axis=1)
        return costs

    @cached_property
    def _cost_table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Costs of the network that skips every slot, and what each digit of each slot adds: ``(slots, 9, 2)``."""

        def cost(choices: tuple[int, ...]) -> NDArray[np.float64]:
            graph = self.graph(self._made(choices))
            return np.array([macs(graph), params(graph)], dtype=float)

        empty = (_SKIP,) * _SLOT_COUNT
        base = cost(empty)
        added = np.zeros((_SLOT_COUNT, _SKIP + 1, 2))
        for slot in range(_SLOT_COUNT):
            for digit in range(_SKIP):
                added[slot, digit] = cost((*empty[:slot], digit, *empty[slot + 1 :])) - base
        return base, added


def _add_slot(
    builder: GraphBuilder, name: str, source: Tensor, channels: int, digit: int, stride: int
) -> Tensor:
    same_shape = source.channels == channels and stride == 1
    if digit != _SKIP:
        kernel_px, expansion, groups = _BLOCKS[digit]
        block = inverted_residual(
            source.channels,
            channels,
            source.size_px,
            kernel_px=kernel_px,
            stride=stride,
            expansion=expansion,
            activation=Activation.RELU,
            residual=same_shape,
            groups=groups,
        )
        return add_inverted_residual(builder, name, source, block)
    if same_shape:
        return source
    operator = Operator(
        OperatorKind.DOWNSAMPLE,
        source.channels,
        channels,
        source.size_px,
        stride=stride,
        activation=Activation.RELU,
        batch_norm=True,
    )
    with builder.block(operator, name):
        return builder.conv("conv", source, channels, stride=stride, activation=Activation.RELU)
