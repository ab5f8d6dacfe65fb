"""Graph -> trainable torch module, and weights both ways. The only module of this package that imports torch."""

__all__ = ["GraphModule", "build_module", "folded_weights", "load_weights"]

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import INPUT, Graph, Node
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.weights import Weights

_BLOCK_KINDS = frozenset(
    {
        OperatorKind.STEM,
        OperatorKind.INVERTED_RESIDUAL,
        OperatorKind.SEPARABLE,
        OperatorKind.DOWNSAMPLE,
        OperatorKind.RELU_CONV,
        OperatorKind.BASIC_RESIDUAL,
        OperatorKind.HEAD,
    }
)


class GraphModule(nn.Module):
    """Runs a graph's nodes in order.

    Input ``(batch, channels, height, width)``, output ``(batch, features)`` after a linear layer, else a map.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._plan = tuple(
            (_slot(node.name), node.name, node.inputs, node.operator.kind) for node in graph.nodes
        )
        self.layers = nn.ModuleDict({_slot(node.name): _layer(node.operator) for node in graph.nodes})

    def forward(self, images: Tensor) -> Tensor:
        values, output = {INPUT: images}, images
        for slot, name, inputs, kind in self._plan:
            sources = [values[source] for source in inputs]
            output = self.layers[slot](_joined(kind, sources))
            values[name] = output
        return output


def build_module(graph: Graph) -> GraphModule:
    """Convolution, batch normalisation and activation as modules of their own, torch's initial weights."""
    return GraphModule(graph)


def load_weights(module: GraphModule, graph: Graph, weights: Weights) -> None:
    """Sets ``module`` so that in ``eval`` mode it computes what ``emit_onnx`` writes from the same weights.

    These are folded weights: each batch normalisation becomes the identity plus the bias.
    """
    with torch.no_grad():
        for node in graph.nodes:
            main, norm = _main(module, node), _norm(module, node)
            if main is None:
                if norm is not None:
                    _load_norm(norm, node, weights)
                continue
            name, shape = node.name, tuple(main.weight.shape)
            fan_in = int(np.prod(shape[1:]))
            main.weight.copy_(torch.tensor(weights.array(f"{name}.weight", shape, fan_in)))
            if node.operator.bias or node.operator.batch_norm:
                bias = torch.tensor(weights.array(f"{name}.bias", shape[:1], 0))
                _set_shift(module, node, main, bias)


def folded_weights(module: GraphModule, graph: Graph) -> dict[str, NDArray[np.float32]]:
    """The arrays for ``NamedWeights``: every batch normalisation's running figures folded into its convolution."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for node in graph.nodes:
        main, norm = _main(module, node), _norm(module, node)
        if main is None:
            if norm is not None:
                gain, shift = _scale_and_shift(norm)
                arrays[f"{node.name}.weight"] = gain.reshape(-1, 1, 1, 1).float().numpy()
                arrays[f"{node.name}.bias"] = shift.float().numpy()
            continue
        weight = main.weight.detach().double()
        shift = torch.zeros(len(weight), dtype=torch.float64)
        if main.bias is not None:
            shift = main.bias.detach().double()
        if norm is not None:
            gain, own_shift = _scale_and_shift(norm)
            weight = weight * gain.reshape(-1, *[1] * (weight.dim() - 1))
            shift = own_shift + shift * gain
        arrays[f"{node.name}.weight"] = weight.float().numpy()
        if node.operator.bias or node.operator.batch_norm:
            arrays[f"{node.name}.bias"] = shift.float().numpy()
    return arrays


def _slot(name: str) -> str:
    """torch forbids dots in the names of modules."""
    return name.replace(".", "/")


def _joined(kind: OperatorKind, sources: list[Tensor]) -> Tensor:
    if kind is OperatorKind.ADD:
        return sources[0] + sources[1]
    if kind is OperatorKind.MULTIPLY:
        return sources[0] * sources[1]
    if kind is OperatorKind.ZERO:
        return sources[0] * 0.0
    return sources[0].flatten(1) if kind is OperatorKind.LINEAR else sources[0]


def _layer(one: Operator) -> nn.Sequential:
    if one.kind in _BLOCK_KINDS:
        raise InvalidArgumentError(
            f"'{one.kind}' is a block, not a node: a graph's nodes must be primitives."
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if one.kind is OperatorKind.CONV:
        geometry = (one.kernel_px, one.stride, one.padding_px)
        parts["main"] = nn.Conv2d(
            one.in_channels, one.out_channels, *geometry, groups=one.groups, bias=one.bias
        )
    elif one.kind is OperatorKind.LINEAR:
        parts["main"] = nn.Linear(one.in_channels, one.out_channels, bias=one.bias)
    elif one.kind is OperatorKind.GLOBAL_AVERAGE_POOL:
        parts["pool"] = nn.AdaptiveAvgPool2d(1)
    elif one.kind is OperatorKind.AVERAGE_POOL:
        parts["pool"] = nn.AvgPool2d(one.kernel_px, one.stride, one.padding_px, count_include_pad=False)
    elif one.kind is OperatorKind.MAX_POOL:
        parts["pool"] = nn.MaxPool2d(one.kernel_px, one.stride, one.padding_px)
    elif one.kind is OperatorKind.CHANNEL_SHUFFLE:
        parts["shuffle"] = nn.ChannelShuffle(one.groups)
    if one.batch_norm:
        parts["norm"] = nn.BatchNorm2d(one.out_channels)
    parts["activation"] = _activation(one.activation)
    return nn.Sequential(parts)


def _activation(activation: Activation) -> nn.Module:
    made: dict[Activation, type[nn.Module]] = {
        Activation.NONE: nn.Identity,
        Activation.RELU: nn.ReLU,
        Activation.RELU6: nn.ReLU6,
        Activation.SIGMOID: nn.Sigmoid,
        Activation.HARD_SIGMOID: nn.Hardsigmoid,
        Activation.HARD_SWISH: nn.Hardswish,
    }
    return made[activation]()


def _main(module: GraphModule, node: Node) -> nn.Conv2d | nn.Linear | None:
    found = getattr(module.layers[_slot(node.name)], "main", None)
    return found if isinstance(found, nn.Conv2d | nn.Linear) else None


def _norm(module: GraphModule, node: Node) -> nn.BatchNorm2d | None:
    found = getattr(module.layers[_slot(node.name)], "norm", None)
    return found if isinstance(found, nn.BatchNorm2d) else None


def _running(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise InvalidArgumentError("a batch normalisation keeps no running figures: it cannot be folded.")
    return norm.running_mean.double(), norm.running_var.double()


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    mean, variance = _running(norm)
    gain = norm.weight.detach().double() / torch.sqrt(variance + norm.eps)
    return gain, norm.bias.detach().double() - mean * gain


def _load_norm(norm: nn.BatchNorm2d, node: Node, weights: Weights) -> None:
    """A folded normalisation: scale and shift, nothing subtracted."""
    channels = norm.num_features
    scale = torch.tensor(weights.array(f"{node.name}.weight", (channels, 1, 1, 1), 1)).flatten()
    norm.weight.copy_(scale)
    _set_folded(norm, torch.tensor(weights.array(f"{node.name}.bias", (channels,), 0)))


def _set_shift(module: GraphModule, node: Node, main: nn.Conv2d | nn.Linear, bias: Tensor) -> None:
    norm = _norm(module, node)
    if norm is None:
        if main.bias is not None:
            main.bias.copy_(bias)
        return
    norm.weight.fill_(1.0)
    _set_folded(norm, bias)
    if main.bias is not None:
        main.bias.zero_()


def _set_folded(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """Nothing subtracted, divided by 1, the bias added."""
    norm.bias.copy_(bias)
    if norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
