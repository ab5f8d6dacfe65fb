"""The prior of a device's entries: from other devices, or from the sizes of the blocks where there are none."""

__all__ = [
    "SourceDevice",
    "believed_from_features",
    "believed_from_prior",
    "believed_from_sources",
    "device_family",
    "family_weights",
    "learn_source",
]

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fleetnas_latency.block_prior import Prior
from fleetnas_latency.few_shot.robust_fit import Measured, fit_robust
from fleetnas_latency.few_shot.robust_posterior import Believed, Floats
from fleetnas_latency.few_shot.structure import Structure
from fleetnas_search_spaces.errors import InvalidArgumentError

_KAPPA, _FLOOR = 3.0, 0.01
_CHAIN_KAPPA, _CHAIN_FLOOR = 1.5, 0.006
_SPEED = 0.25
_FEW_ENTRIES = 12
_TRAILING_SIZE = re.compile(r"(_\d+[a-z]?)+$")


@dataclass(frozen=True, slots=True)
class SourceDevice:
    """What was learned of a device that many networks were measured on.

    Attributes:
        family: Devices of one family count as one; ``device_family`` guesses it.
        costs: Shape ``(base entries,)``, for networks of mean latency 1: a device's speed is not borrowed.
        mean_ms: Mean latency of the space's networks on it: what a guess without any measurement starts from.
    """

    name: str
    family: str
    costs: Floats
    mean_ms: float


def device_family(name: str) -> str:
    """``"titanx"`` of ``"titanx_256"``, ``"gold"`` of ``"gold_6240"``: batch size and model number left out."""
    return _TRAILING_SIZE.sub("", name)


def family_weights(sources: Sequence[SourceDevice]) -> Floats:
    """Shape ``(len(sources),)``, sum 1: each family weighs the same."""
    sizes = Counter(one.family for one in sources)
    weights = np.array([1.0 / sizes[one.family] for one in sources])
    normalised: Floats = weights / weights.sum()
    return normalised


def believed_from_features(structure: Structure, rows: Floats) -> Believed:
    """Each size of a block explains an equal part of the latency, give or take that much.

    Args:
        rows: Shape ``(H, N, K)``: a sample of the space, whose mean latency is 1.
    """
    base = structure.hypotheses[0].base_count
    prior = Prior.from_features(structure.features(), rows[0][:, :base])
    return believed_from_prior(structure, prior)


def believed_from_prior(structure: Structure, prior: Prior) -> Believed:
    """The same belief under every hypothesis of the structure."""
    return _under_each_hypothesis(structure, prior.mean, prior.factor)


def believed_from_sources(structure: Structure, sources: Sequence[SourceDevice]) -> Believed:
    """Empirical Bayes: mean and covariance of the sources' costs, each family weighing the same.

    The covariance is widened, a floor keeps an entry open on which all sources agree, and a term along the mean
    leaves the device's speed uncertain.

    Raises:
        InvalidArgumentError: There is no source.
    """
    if not sources:
        raise InvalidArgumentError("a prior from other devices needs one at least: give sources.")
    costs = np.array([one.costs for one in sources])
    weights = family_weights(sources)
    mean = weights @ costs
    few = len(mean) <= _FEW_ENTRIES
    kappa, floor = (_KAPPA, _FLOOR) if few else (_CHAIN_KAPPA, _CHAIN_FLOOR)
    spread = np.sqrt(kappa * weights)[:, None] * (costs - mean)
    factor = np.hstack([spread.T, floor * np.eye(len(mean)), np.sqrt(_SPEED) * mean[:, None]])
    return _under_each_hypothesis(structure, mean, factor)


def learn_source(
    structure: Structure, rows: Floats, latency_ms: Floats, sample: Floats, *, name: str, family: str = ""
) -> SourceDevice:
    """The relative costs of a device, under the hypothesis that suits it best.

    Args:
        rows: Shape ``(H, N, K)``, the networks measured on it, with ``latency_ms`` of the shape ``(N,)``.
        sample: Shape ``(H, M, K)``, a sample of the space, the same for all sources.
        family: ``device_family(name)`` unless given.
    """
    wide = believed_from_features(structure, sample)
    exact = np.zeros(len(latency_ms))
    weights = fit_robust(wide, Measured(rows, latency_ms, exact)).hypothesis_weights()
    best = int(weights.argmax())
    only = Believed(wide.mean[[best]], wide.factor[[best]], np.ones(1))
    costs_ms, _ = fit_robust(only, Measured(rows[[best]], latency_ms, exact)).entries()
    mean_ms = float((sample[best] @ costs_ms).mean())
    base = structure.hypotheses[best].base_count
    return SourceDevice(name, family or device_family(name), costs_ms[:base] / mean_ms, mean_ms)


def _under_each_hypothesis(structure: Structure, mean: Floats, factor: Floats) -> Believed:
    """The base entries with those that only some hypotheses have."""
    extra_mean, extra_std = structure.extra_prior(mean)
    full = np.zeros((len(mean) + len(extra_std), factor.shape[1] + len(extra_std)))
    full[: len(mean), : factor.shape[1]] = factor
    full[len(mean) :, factor.shape[1] :] = np.diag(extra_std)
    count = len(structure.hypotheses)
    weights = np.array([one.weight for one in structure.hypotheses])
    means = np.tile(np.concatenate([mean, extra_mean]), (count, 1))
    return Believed(means, np.tile(full, (count, 1, 1)), weights / weights.sum())
