"""Networks that are a stem, stages of inverted residuals and a head: graphs and fast costs."""

__all__ = ["MobileNetChain", "StageCost"]

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fleetnas_search_spaces.blocks import Stage, add_head, add_inverted_residual, add_stem, stage_blocks
from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation

_STEM_CHANNELS = 32
_HIDDEN_CHANNELS = 1280
_STRIDE_SUM = 5  # the stem and four stages halve the map
_HALVING = 2


@dataclass(frozen=True, slots=True)
class StageCost:
    """Multiply-accumulates and parameters of some part of a network."""

    macs: int
    params: int

    def __add__(self, other: "StageCost") -> "StageCost":
        return StageCost(self.macs + other.macs, self.params + other.params)


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
        self._cached_first = cache(self._first_block_cost)
        self._cached_frame = cache(self._frame_cost)

    def graph(self, stages: Sequence[Stage]) -> Graph:
        builder = GraphBuilder(self._resolution_px)
        x = add_stem(builder, _STEM_CHANNELS, stride=2, activation=Activation.RELU6)
        for stage_index, stage in enumerate(stages):
            for index, block in enumerate(stage_blocks(stage, x.channels, x.size_px)):
                x = add_inverted_residual(
                    builder,
                    f"stage{stage_index}.block{index}",
                    x,
                    block,
                    expand_at_one=self._expand_at_one,
                )
        self._add_head(builder, x)
        return builder.build()

    def cost(self, stages: Sequence[Stage]) -> StageCost:
        """Equal to counting ``graph(stages)``, in microseconds: the costs of blocks seen before are kept."""
        channels, size_px = _STEM_CHANNELS, _halved(self._resolution_px)
        total = StageCost(0, 0)
        for stage in stages:
            first = _one_block(stage, stage.stride)
            total += self._cached_first(first, channels, size_px)
            size_px = _halved(size_px) if stage.stride == _HALVING else size_px
            channels = stage.width
            repeat = self._cached_first(_one_block(stage, 1), channels, size_px)
            more = stage.depth - 1
            total += StageCost(more * repeat.macs, more * repeat.params)
        return total + self._cached_frame(channels, size_px)
