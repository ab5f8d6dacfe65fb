"""Scores of a network that nobody trained: one pass forwards and one back on a single batch."""

__all__ = ["SCORES", "score"]

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from fleetnas_search_spaces.build import build_module
from fleetnas_search_spaces.graph import Graph

_SEED = 0
_RIDGE = 1e-5
_FLOOR = 1e-300


def score(graph: Graph, name: str, images: Tensor, labels: Tensor) -> float:
    """One of ``SCORES`` of a network with torch's initial weights, the same weights at each call.

    Args:
        images: Shape ``(batch, channels, height, width)``, float32.
        labels: Shape ``(batch,)``, class numbers.

    Returns:
        Finite; numbers beyond what is told apart are cut.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module = build_module(graph).train()
    value = SCORES[name](module, images, labels)
    return float(torch.nan_to_num(torch.tensor(value, dtype=torch.float64), nan=0.0, posinf=1e6, neginf=-1e6))


def _synflow(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the sum of ``|weight| * |slope|`` on an image of ones, batch normalisations left out.

    Source: Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow",
    NeurIPS 2020; of whole networks: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.
    """
    module = module.double()
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for one in module.parameters():
            one.abs_()
    weights = list(module.parameters())
    total = module(torch.ones_like(images[:1], dtype=torch.float64)).sum()
    slopes = torch.autograd.grad(total, weights, allow_unused=True)
    flow = sum(float((w.detach() * s).sum()) for w, s in zip(weights, slopes, strict=True) if s is not None)
    return float(torch.tensor(max(flow, _FLOOR), dtype=torch.float64).log())


def _jacob_cov(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How differently the network answers to different images: the spectrum of the correlation of its slopes.

    Source: Mellor et al., "Neural Architecture Search without Training" (first version, arXiv 2006.04647v1),
    published at ICML 2021: ``-sum(log(v + k) + 1 / (v + k))`` over the eigenvalues ``v``.
    """
    inputs = images.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(module(inputs).sum(), inputs)
    correlation = torch.corrcoef(slopes.flatten(1).double())
    values = torch.linalg.eigvalsh(torch.nan_to_num(correlation)) + _RIDGE
    return -float((values.clamp_min(_RIDGE).log() + 1.0 / values.clamp_min(_RIDGE)).sum())


def _grad_norm(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the sum over layers of the Euclidean norm of the loss's slope.

    Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021; the logarithm is ours.
    """
    outputs = module(images).flatten(1)
    loss = nn.functional.cross_entropy(outputs, labels % outputs.shape[1])
    slopes = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
    total = sum(float(one.norm()) for one in slopes if one is not None)
    return float(torch.tensor(max(total, _FLOOR), dtype=torch.float64).log())


SCORES: Mapping[str, Callable[[nn.Module, Tensor, Tensor], float]] = MappingProxyType(
    {"synflow": _synflow, "jacob_cov": _jacob_cov, "grad_norm": _grad_norm}
)
