"""Light-NAS: the 30-token space behind the table in PaddleSlim's README.

Source: PaddlePaddle/models, release/1.6, ``PaddleSlim/light_nas/light_nas_space.py`` (tables) and
``PaddleSlim/docs/demo.md`` 3.8 (published tokens), Apache-2.0.
"""

__all__ = ["PUBLISHED_TOKENS", "LightNAS"]

from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.blocks import Stage
from fleetnas_search_spaces.choices import check_architecture, mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.mobilenet_chain import MobileNetChain

_EXPANSIONS = (3, 4, 5, 6)
_WIDTHS = ((18, 24, 30), (24, 32, 40), (48, 64, 80), (72, 96, 120), (120, 160, 192))
_DEPTHS = ((1, 2, 3), (2, 3, 4), (3, 4, 5), (2, 3, 4), (2, 3, 4))
_KERNELS_PX = (3, 5)
_STRIDES = (2, 2, 2, 1, 2)
_GENES = 6  # of each stage: expansion, width, depth, kernel, shortcut, squeeze-excite
_FIRST = Stage(expansion=1, width=16, depth=1, stride=1, kernel_px=3)
_LAST = Stage(expansion=6, width=320, depth=1, stride=1, kernel_px=3)
_CLASSES = 1000

_INITIAL = (3, 1, 1, 0, 1, 0) * 5

PUBLISHED_TOKENS: Mapping[str, str] = MappingProxyType(
    {
        "MobileNetV2": "3,1,1,0,1,0," * 4 + "3,1,1,0,1,0",
        "tokens0": "3,1,1,0,1,0,3,2,1,0,1,0,3,1,1,0,1,0,2,1,1,0,1,0,1,1,1,0,1,0",
        "tokens1": "3,1,1,0,1,0,3,2,1,0,1,1,0,1,1,1,1,0,2,0,1,0,1,0,1,1,1,0,1,1",
        "tokens2, RK3288": "0,1,0,0,0,1,1,1,0,0,0,0,2,2,1,0,1,1,2,1,0,0,0,0,3,2,1,0,1,0",
        "tokens3, Android": "3,0,0,0,1,0,1,2,0,0,1,0,0,2,0,1,1,0,3,1,0,1,1,0,0,2,1,1,1,0",
        "tokens4, iPhone 6s": "3,1,0,0,1,0,3,1,1,0,1,0,3,1,1,0,1,0,0,1,1,0,1,0,3,1,1,0,1,0",
        "iPhone until 2019-09-17": "3,1,1,0,0,0,3,1,1,0,1,0,1,1,1,1,1,0,3,0,1,0,1,1,2,1,1,0,1,0",
        "RK3288, 2019-08-15": "3,1,1,0,1,0,1,1,1,0,1,0,3,1,1,0,1,0,3,1,1,1,1,0,1,1,1,0,1,0",
        "Android, 2019-08-15": "1,1,1,0,1,0,3,1,1,0,1,0,3,1,1,0,1,0,3,1,0,0,1,0,3,1,1,0,1,0",
    }
)
"""Token lists that PaddleSlim published, the reference first."""


class LightNAS:
    """Five searched stages of [expansion, width, depth, kernel, shortcut, squeeze-excite] between two fixed ones.

    The sources give squeeze-excitation (reduction 4) as ``relu(x + x * scale)`` on the block's output and do not
    say which function makes the scale: here a sigmoid, as Hu et al. (CVPR 2018) have it. The shortcut gene
    decides whether the blocks after the first of a stage add their input.
    """

    name = "light-nas"
    option_counts: Sequence[int] = (4, 3, 3, 2, 2, 2) * 5

    def __init__(self, resolution_px: int = 224) -> None:
        self._resolution_px = resolution_px
        self._chain = MobileNetChain(resolution_px=resolution_px, classes=_CLASSES, expand_at_one=True)

    @property
    def reference(self) -> Architecture:
        """MobileNetV2 as this space has it: 313.6 M MACs."""
        return self._made(_INITIAL)

    def sample(self, rng: Random) -> Architecture:
        return self._made(sample_choices(self.option_counts, rng))

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        check_architecture(parent, self)
        return self._made(mutate_choices(parent.choices, self.option_counts, rng))

    def canonical(self, architecture: Architecture) -> Architecture:
        """A shortcut gene does nothing in a stage of one block: it is set to 0 there."""
        check_architecture(architecture, self)
        choices = list(architecture.choices)
        for index, depths in enumerate(_DEPTHS):
            depth, shortcut = _GENES * index + 2, _GENES * index + 4
            if depths[choices[depth]] == 1:
                choices[shortcut] = 0
        return self._made(tuple(choices))

    def parse(self, text: str) -> Architecture:
        return self._made(parse_choices(text, self.option_counts, self.name))

    def format(self, architecture: Architecture) -> str:
        """The tokens with commas between."""
        check_architecture(architecture, self)
        return ",".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        return self._chain.graph(_stages(self.canonical(architecture).choices))

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Per stage width, depth, its products with kernel and expansion, shortcuts, squeeze-excitations; log MACs;
        log parameters.
        """
        networks = [_stages(self.canonical(one).choices) for one in architectures]
        genes = [[number for stage in stages[1:-1] for number in _described(stage)] for stages in networks]
        columns = np.array(genes, dtype=float).reshape(len(networks), -1)
        return np.hstack([columns, np.log(self._chain.costs(networks))])

    def _made(self, choices: tuple[int, ...]) -> Architecture:
        return Architecture(self.name, choices, self._resolution_px)


def _stages(choices: Sequence[int]) -> tuple[Stage, ...]:
    stages = [_FIRST]
    for index, (widths, depths, stride) in enumerate(zip(_WIDTHS, _DEPTHS, _STRIDES, strict=True)):
        expansion, width, depth, kernel, shortcut, squeeze = choices[_GENES * index : _GENES * (index + 1)]
        stages.append(
            Stage(
                expansion=_EXPANSIONS[expansion],
                width=widths[width],
                depth=depths[depth],
                stride=stride,
                kernel_px=_KERNELS_PX[kernel],
                squeeze_excite=bool(squeeze),
                shortcut=bool(shortcut),
            )
        )
    return (*stages, _LAST)


def _described(stage: Stage) -> tuple[float, ...]:
    return (
        float(stage.width),
        float(stage.depth),
        float(stage.depth * stage.kernel_px),
        float(stage.depth * stage.expansion),
        float((stage.depth - 1) * stage.shortcut),
        float(stage.depth * stage.squeeze_excite),
    )
