"""Devices that others published as sources for a new one."""

__all__ = ["packed_source"]

import numpy as np

from fleetnas_latency.block_prior import Prior
from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.robust_posterior import Floats
from fleetnas_latency.few_shot.source_prior import SourceDevice, device_family


def packed_source(structure: ChainStructure, pack: Pack, rows: Floats) -> SourceDevice | None:
    """The pack's learned entries as relative costs; blocks it has no entry for are believed from their size.

    Args:
        rows: Shape ``(1, N, K)``: a sample of the space, whose mean latency is 1.

    Returns:
        None when the pack has no block of the space.
    """
    space = structure.space.name
    known = {one.key: one.mean_ms for one in pack.entries if one.space == space}
    costs = np.array([known.get(name, np.nan) for name in structure.entry_names])
    found = np.isfinite(costs[1:])
    if not found.any():
        return None
    by_size = Prior.from_features(structure.features(), rows[0]).mean
    unit_ms = float(costs[1:][found].sum() / by_size[1:][found].sum())
    costs = np.where(np.isfinite(costs), costs, unit_ms * by_size)
    mean_ms = float((rows[0] @ costs).mean())
    return SourceDevice(pack.target.key, device_family(pack.target.device_model), costs / mean_ms, mean_ms)
