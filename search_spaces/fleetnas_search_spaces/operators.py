"""An operator or a block, as typed data: the key of the latency table."""

__all__ = ["Activation", "Operator", "OperatorKind", "Precision"]

from dataclasses import dataclass
from enum import StrEnum


class OperatorKind(StrEnum):
    """What an operator or block computes.

    The first group are the primitives a graph is made of; the second are blocks, groups of primitives that a
    runtime fuses and that the latency table learns as one entry.
    """

    CONV = "conv"  # depthwise when groups == in_channels
    LINEAR = "linear"
    ADD = "add"
    MULTIPLY = "multiply"
    ACTIVATION = "activation"
    AVERAGE_POOL = "average_pool"
    MAX_POOL = "max_pool"
    GLOBAL_AVERAGE_POOL = "global_average_pool"
    BATCH_NORM = "batch_norm"  # one that no convolution before it can take in
    CHANNEL_SHUFFLE = "channel_shuffle"  # of `groups` groups
    ZERO = "zero"  # its input times 0

    STEM = "stem"
    INVERTED_RESIDUAL = "inverted_residual"
    SEPARABLE = "separable"  # an inverted residual without its 1 x 1 expansion
    DOWNSAMPLE = "downsample"
    RELU_CONV = "relu_conv"
    BASIC_RESIDUAL = "basic_residual"
    HEAD = "head"


class Activation(StrEnum):
    """The pointwise function applied to an operator's output."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"
    HARD_SWISH = "hard_swish"


class Precision(StrEnum):
    """Number type of activations and weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """One operator or block with everything its latency depends on.

    Attributes:
        in_channels, out_channels: Channels of input and output; for LINEAR the features.
        in_px: Side of the square input feature map in pixels; 1 for LINEAR.
        kernel_px, stride, padding_px: Geometry in pixels; the padding that is really added on each side.
        expansion: Ratio of hidden to input channels of a block; 1 for primitives.
        activation: Function applied to the output (for a block: inside it).
        batch_norm: Whether a batch normalisation follows. Exporters fold it, trainers and the parameter
            count see it.
        bias: Whether the operator has a bias of its own.
        squeeze_excite, residual: Whether the block has such a branch.
    """

    kind: OperatorKind
    in_channels: int
    out_channels: int
    in_px: int
    kernel_px: int = 1
    stride: int = 1
    padding_px: int = 0
    groups: int = 1
    expansion: int = 1
    activation: Activation = Activation.NONE
    batch_norm: bool = False
    bias: bool = False
    squeeze_excite: bool = False
    residual: bool = False
    precision: Precision = Precision.FP32

    @property
    def out_px(self) -> int:
        """Side of the output feature map, in pixels."""
        if self.kind in (OperatorKind.GLOBAL_AVERAGE_POOL, OperatorKind.LINEAR, OperatorKind.HEAD):
            return 1
        return (self.in_px + 2 * self.padding_px - self.kernel_px) // self.stride + 1
