"""The prior of a device's entries from blocks that were measured alone on it."""

__all__ = ["believed_from_blocks"]

from dataclasses import replace

import numpy as np

from fleetnas_latency.block_prior import Prior
from fleetnas_latency.few_shot.robust_posterior import Believed, Floats
from fleetnas_latency.few_shot.source_prior import believed_from_prior
from fleetnas_latency.few_shot.structure import Structure

_SPREAD = 0.1
"""Of a block among others against the same alone: caches and what a runtime fuses across its borders."""
_SMALLEST_SPREAD = 0.005
_SPEED_SPREAD = 0.5


def believed_from_blocks(structure: Structure, rows: Floats, block_ms: Floats) -> Believed:
    """Blocks measured alone cost what they did, give or take a tenth; the others are believed from their size.

    Args:
        rows: Shape ``(H, N, K)``: a sample of the space, whose mean latency is 1.
        block_ms: Shape ``(base entries,)``: milliseconds of each block, a call of nothing taken off; NaN where it
            was not measured, as the overhead.
    """
    base = structure.hypotheses[0].base_count
    prior = Prior.from_features(structure.features(), rows[0][:, :base])
    known = np.isfinite(block_ms)
    if not known.any():
        return believed_from_prior(structure, prior)
    unit_ms = float(np.median(block_ms[known] / prior.mean[known]))
    mean = np.where(known, block_ms / unit_ms, prior.mean)
    own = np.where(known, _SPREAD * mean + _SMALLEST_SPREAD, prior.own)
    # All blocks may be slower or faster by the same part when they run one after the other.
    together = np.where(known, _SPEED_SPREAD * mean, 0.0)
    shared = np.column_stack([np.where(known[:, None], 0.0, prior.shared), together])
    return believed_from_prior(structure, replace(prior, mean=mean, shared=shared, own=own))
