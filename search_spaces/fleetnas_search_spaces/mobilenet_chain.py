"""Networks that are a stem, stages of inverted residuals and a head: graphs, and costs of many of them fast."""

__all__ = ["MobileNetChain"]

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.blocks import Stage, add_head, add_inverted_residual, add_stem, stage_blocks
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

_STEM_CHANNELS = 32
_HIDDEN_CHANNELS = 1280


class MobileNetChain:
    """Turns stages into graphs, and counts many networks fast.

    The network: a 3 x 3 stem of stride 2 to 32 channels, the stages, a 1 x 1 convolution to 1280 channels,
    global average pooling, a linear layer. ReLU6 throughout.

    Args:
        expand_at_one: Whether a block of expansion 1 keeps its 1 x 1 expansion.
    """

    def __init__(self, *, resolution_px: int, classes: int, expand_at_one: bool) -> None:
        self._resolution_px = resolution_px
        self._classes = classes
        self._expand_at_one = expand_at_one
        self._block_cost = cache(self._count_block)
        self._head_cost = cache(self._count_head)

    def graph(self, stages: Sequence[Stage]) -> Graph:
        builder = GraphBuilder(self._resolution_px)
        x = add_stem(builder, _STEM_CHANNELS, stride=2, activation=Activation.RELU6)
        for stage_index, stage in enumerate(stages):
            for index, block in enumerate(stage_blocks(stage, x.channels, x.size_px)):
                x = self._add_block(builder, f"stage{stage_index}.block{index}", x, block)
        self._add_head(builder, x)
        return builder.build()

    def costs(self, networks: Sequence[Sequence[Stage]]) -> NDArray[np.float64]:
        """MACs and parameters, equal to counting each graph; blocks met before are not counted again.

        Returns:
            Shape ``(len(networks), 2)``.
        """
        return np.array([self._cost(stages) for stages in networks], dtype=float).reshape(-1, 2)

    def _cost(self, stages: Sequence[Stage]) -> tuple[int, int]:
        stem = Tensor("stem", _STEM_CHANNELS, (self._resolution_px - 1) // 2 + 1)
        channels, size_px = stem.channels, stem.size_px
        total_macs = total_params = 0
        for stage in stages:
            for block in stage_blocks(stage, channels, size_px):
                block_macs, block_params = self._block_cost(block)
                total_macs += block_macs
                total_params += block_params
                channels, size_px = block.out_channels, block.out_px
        head_macs, head_params = self._head_cost(channels, size_px)
        return total_macs + head_macs, total_params + head_params

    def _count_block(self, block: Operator) -> tuple[int, int]:
        builder = GraphBuilder(block.in_px, block.in_channels)
        self._add_block(builder, "block", builder.input, block)
        graph = builder.build()
        return macs(graph), params(graph)

    def _count_head(self, channels: int, size_px: int) -> tuple[int, int]:
        """Head and stem together: what every network has."""
        stem, head = GraphBuilder(self._resolution_px), GraphBuilder(size_px, channels)
        add_stem(stem, _STEM_CHANNELS, stride=2, activation=Activation.RELU6)
        self._add_head(head, head.input)
        graphs = (stem.build(), head.build())
        return sum(map(macs, graphs)), sum(map(params, graphs))

    def _add_block(self, builder: GraphBuilder, name: str, source: Tensor, block: Operator) -> Tensor:
        if block.expansion == 1 and not self._expand_at_one:
            block = replace(block, kind=OperatorKind.SEPARABLE)
        return add_inverted_residual(builder, name, source, block)

    def _add_head(self, builder: GraphBuilder, source: Tensor) -> None:
        add_head(
            builder,
            source,
            hidden_channels=_HIDDEN_CHANNELS,
            classes=self._classes,
            activation=Activation.RELU6,
        )
