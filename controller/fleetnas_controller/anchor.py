"""The anchor: one small network that every device measures again and again, to be compared with itself."""

__all__ = ["ANCHOR_KEY", "anchor_model"]

from functools import cache

from fleetnas_search_spaces.builder import GraphBuilder
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

ANCHOR_KEY = "anchor-1"
"""Another network gets another key: latencies of two anchors must never be compared."""

_SIDE_PX = 112
_WIDTHS = (32, 64, 96)
_CLASSES = 10
_SEED = 1


@cache
def anchor_model() -> bytes:
    """The anchor as ONNX with its weights inside; the same bytes on every machine.

    Standard, depthwise and pointwise convolutions, 21 M multiply-accumulates in 0.6 MB: what devices are busy with
    in real networks, short enough for hundreds of runs in a second.
    """
    from fleetnas_search_spaces.emit_onnx import emit_onnx
    from fleetnas_search_spaces.weights import WeightPool

    return emit_onnx(_graph(), WeightPool(None, seed=_SEED), key=ANCHOR_KEY).model_bytes


def _graph() -> Graph:
    builder = GraphBuilder(_SIDE_PX)
    with builder.block(Operator(OperatorKind.STEM, 3, 16, _SIDE_PX), "stem"):
        x = builder.conv("conv", builder.input, 16, kernel_px=3, stride=2, activation=Activation.RELU)
    for index, width in enumerate(_WIDTHS):
        with builder.block(Operator(OperatorKind.CONV, x.channels, width, x.size_px), f"stage{index}"):
            x = builder.depthwise("depthwise", x, kernel_px=3, stride=2, activation=Activation.RELU)
            x = builder.conv("pointwise", x, width, activation=Activation.RELU)
            x = builder.conv("conv", x, width, kernel_px=3, activation=Activation.RELU)
    with builder.block(Operator(OperatorKind.LINEAR, x.channels, _CLASSES, 1, bias=True), "head"):
        builder.linear("linear", builder.global_average_pool("pool", x), _CLASSES)
    return builder.build()
