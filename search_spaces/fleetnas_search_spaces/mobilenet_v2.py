"""MobileNetV2 with PaddleSlim's 25 tokens.

Source: PaddleSlim's ``MobileNetV2Space``: its range table, option tables and initial tokens, which are
MobileNetV2 1.0 (Sandler et al., CVPR 2018).
"""

__all__ = ["MobileNetV2", "mobilenet_v2_paper"]

from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.blocks import Stage
from fleetnas_search_spaces.choices import check_architecture, mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.mobilenet_chain import MobileNetChain

_HEAD_WIDTHS = (3, 4, 8, 12, 16, 24, 32)
_WIDTHS = (
    (3, 4, 8, 12, 16, 24, 32, 48),
    (8, 12, 16, 24, 32, 48, 64, 80),
    (16, 24, 32, 48, 64, 80, 96, 128),
    (24, 32, 48, 64, 80, 96, 128, 144, 160, 192),
    (32, 48, 64, 80, 96, 128, 144, 160, 192, 224),
    (64, 80, 96, 128, 144, 160, 192, 224, 256, 320, 384, 512),
)
_EXPANSIONS = (1, 2, 3, 4, 6)
_DEPTHS = (1, 2, 3, 4, 5, 6)
_KERNELS_PX = (3, 5)
_STRIDES = (2, 2, 2, 1, 2, 1)
_GENES = 4  # of each stage: expansion, width, depth, kernel
_INITIAL = (4, 4, 5, 1, 0, 4, 4, 2, 0, 4, 4, 3, 0, 4, 5, 2, 0, 4, 7, 2, 0, 4, 9, 0, 0)
_CLASSES = 1000


class MobileNetV2:
    """The width of the first bottleneck, then six stages of [expansion, width, depth, kernel].

    Two kinds of block, which differ where the expansion is 1: PaddleSlim keeps a 1 x 1 convolution there
    (MobileNetV2 has 313.6 M MACs then), the paper leaves it out (300.8 M).

    Args:
        expand_at_one: PaddleSlim's block (``mobilenet-v2``); False: the paper's (``mobilenet-v2-paper``).
    """

    option_counts: Sequence[int] = (
        len(_HEAD_WIDTHS),
        *(
            count
            for widths in _WIDTHS
            for count in (len(_EXPANSIONS), len(widths), len(_DEPTHS), len(_KERNELS_PX))
        ),
    )

    def __init__(self, resolution_px: int = 224, *, expand_at_one: bool = True) -> None:
        self.name = "mobilenet-v2" if expand_at_one else "mobilenet-v2-paper"
        self._resolution_px = resolution_px
        self._chain = MobileNetChain(
            resolution_px=resolution_px, classes=_CLASSES, expand_at_one=expand_at_one
        )

    @property
    def reference(self) -> Architecture:
        """MobileNetV2 1.0, PaddleSlim's initial tokens."""
        return self._made(_INITIAL)

    def sample(self, rng: Random) -> Architecture:
        return self._made(sample_choices(self.option_counts, rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        check_architecture(parent, self)
        return self._made(mutate_choices(parent.choices, self.option_counts, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Itself: any two token lists are different networks."""
        check_architecture(architecture, self)
        return architecture

    def parse(self, text: str) -> Architecture:
        return self._made(parse_choices(text, self.option_counts, self.name))

    def format(self, architecture: Architecture) -> str:
        """The tokens with commas between."""
        check_architecture(architecture, self)
        return ",".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        check_architecture(architecture, self)
        return self._chain.graph(_stages(architecture.choices))

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Per stage log width, depth, kernel, expansion and their products with depth; log MACs; log parameters."""
        networks = [_stages(self.canonical(one).choices) for one in architectures]
        genes = [
            [number for stage in stages[1:] for number in _described(stage)]
            + [float(np.log(stages[0].width))]
            for stages in networks
        ]
        columns = np.array(genes, dtype=float).reshape(len(networks), -1)
        return np.hstack([columns, np.log(self._chain.costs(networks))])

    def _made(self, choices: tuple[int, ...]) -> Architecture:
        return Architecture(self.name, choices, self._resolution_px)


def mobilenet_v2_paper() -> MobileNetV2:
    """The space with the block of the paper."""
    return MobileNetV2(expand_at_one=False)


def _stages(choices: Sequence[int]) -> tuple[Stage, ...]:
    stages = [Stage(expansion=1, width=_HEAD_WIDTHS[choices[0]], depth=1, stride=1, kernel_px=3)]
    for index, (widths, stride) in enumerate(zip(_WIDTHS, _STRIDES, strict=True)):
        expansion, width, depth, kernel = choices[1 + _GENES * index : 1 + _GENES * (index + 1)]
        stages.append(
            Stage(
                expansion=_EXPANSIONS[expansion],
                width=widths[width],
                depth=_DEPTHS[depth],
                stride=stride,
                kernel_px=_KERNELS_PX[kernel],
            )
        )
    return tuple(stages)


def _described(stage: Stage) -> tuple[float, ...]:
    return (
        float(np.log(stage.width)),
        float(stage.depth),
        float(stage.depth * stage.kernel_px),
        float(stage.depth * stage.expansion),
    )
