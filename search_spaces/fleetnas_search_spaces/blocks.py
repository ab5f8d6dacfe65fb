"""The blocks that mobile spaces are chains of, as operators and as nodes."""

__all__ = ["Stage", "add_head", "add_inverted_residual", "add_stem", "inverted_residual", "stage_blocks"]

from collections.abc import Iterator
from dataclasses import dataclass

from fleetnas_search_spaces.builder import GraphBuilder, Tensor
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

_SQUEEZE_REDUCTION = 4


@dataclass(frozen=True, slots=True)
class Stage:
    """Inverted residual blocks of one width in a row; the first of them changes width and stride.

    Attributes:
        expansion: Hidden channels over input channels.
        width: Output channels.
        depth: Number of blocks.
        stride: Of the first block; the others have 1.
        shortcut: Whether the blocks after the first add their input.
    """

    expansion: int
    width: int
    depth: int
    stride: int
    kernel_px: int
    squeeze_excite: bool = False
    shortcut: bool = True


def inverted_residual(
    in_channels: int,
    out_channels: int,
    in_px: int,
    *,
    kernel_px: int,
    stride: int,
    expansion: int,
    activation: Activation,
    squeeze_excite: bool = False,
    residual: bool = False,
    groups: int = 1,
) -> Operator:
    """The typed description of one block: the key of its entry in the latency table."""
    return Operator(
        OperatorKind.INVERTED_RESIDUAL,
        in_channels,
        out_channels,
        in_px,
        kernel_px=kernel_px,
        stride=stride,
        padding_px=kernel_px // 2,
        expansion=expansion,
        activation=activation,
        batch_norm=True,
        squeeze_excite=squeeze_excite,
        residual=residual,
        groups=groups,
    )


def stage_blocks(stage: Stage, in_channels: int, in_px: int) -> Iterator[Operator]:
    """The blocks of a stage of ReLU6 blocks, in order."""
    for index in range(stage.depth):
        first = index == 0
        block = inverted_residual(
            in_channels if first else stage.width,
            stage.width,
            in_px,
            kernel_px=stage.kernel_px,
            stride=stage.stride if first else 1,
            expansion=stage.expansion,
            activation=Activation.RELU6,
            squeeze_excite=stage.squeeze_excite,
            residual=stage.shortcut and not first,
        )
        yield block
        in_px = block.out_px


def add_stem(builder: GraphBuilder, out_channels: int, *, stride: int, activation: Activation) -> Tensor:
    """A 3 x 3 convolution with batch normalisation on the image."""
    source = builder.input
    operator = Operator(
        OperatorKind.STEM,
        source.channels,
        out_channels,
        source.size_px,
        kernel_px=3,
        stride=stride,
        padding_px=1,
        activation=activation,
        batch_norm=True,
    )
    with builder.block(operator, "stem"):
        return builder.conv("conv", source, out_channels, kernel_px=3, stride=stride, activation=activation)


def add_inverted_residual(builder: GraphBuilder, name: str, source: Tensor, block: Operator) -> Tensor:
    """Expand, depthwise, project; then the input is added, then squeeze-excitation, if the block has them.

    A ``SEPARABLE`` block does not expand.

    With groups both 1 x 1 convolutions have them, and the channels are shuffled after the first.

    Squeeze-excitation is Light-NAS's: ``relu(x + x * scale)`` on the block's output, reduction 4.
    """
    hidden_channels = source.channels * block.expansion
    with builder.block(block, name):
        x = source
        if block.kind is not OperatorKind.SEPARABLE:
            x = builder.conv("expand", x, hidden_channels, groups=block.groups, activation=block.activation)
        if block.groups > 1:
            x = builder.channel_shuffle("shuffle", x, groups=block.groups)
        x = builder.depthwise(
            "depthwise", x, kernel_px=block.kernel_px, stride=block.stride, activation=block.activation
        )
        x = builder.conv("project", x, block.out_channels, groups=block.groups)
        if block.residual:
            x = builder.add("add", source, x)
        if block.squeeze_excite:
            x = _add_squeeze_excite(builder, x)
    return x


def add_head(
    builder: GraphBuilder, source: Tensor, *, hidden_channels: int, classes: int, activation: Activation
) -> Tensor:
    """A 1 x 1 convolution to ``hidden_channels``, global average pooling and a linear layer to ``classes``.

    ``hidden_channels`` is fixed in a space, so the block's operator does not carry it.
    """
    operator = Operator(
        OperatorKind.HEAD,
        source.channels,
        classes,
        source.size_px,
        activation=activation,
        batch_norm=True,
        bias=True,
    )
    with builder.block(operator, "head"):
        x = builder.conv("conv", source, hidden_channels, activation=activation)
        x = builder.global_average_pool("pool", x)
        return builder.linear("linear", x, classes)


def _add_squeeze_excite(builder: GraphBuilder, source: Tensor) -> Tensor:
    squeezed = source.channels // _SQUEEZE_REDUCTION
    x = builder.global_average_pool("squeeze.pool", source)
    x = builder.conv("squeeze.reduce", x, squeezed, activation=Activation.RELU, batch_norm=False, bias=True)
    x = builder.conv(
        "squeeze.expand", x, source.channels, activation=Activation.SIGMOID, batch_norm=False, bias=True
    )
    scaled = builder.multiply("squeeze.scale", source, x)
    return builder.add("squeeze.add", source, scaled, activation=Activation.RELU)
