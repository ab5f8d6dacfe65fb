"""A few-shot model of one target out of the latency table, which other targets in it lend their experience."""

__all__ = ["few_shot_model"]

from collections.abc import Sequence

import numpy as np

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.packed_sources import packed_source
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.few_shot.source_prior import (
    believed_from_features,
    believed_from_sources,
    learn_source,
)
from fleetnas_latency.fitting import good_networks
from fleetnas_latency.repository import LatencyRepository
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace

_FEWEST_TO_TEACH = 30
"""Measured networks that make a target a source for others."""


def few_shot_model(
    table: LatencyRepository,
    target: Target,
    space: SearchSpace,
    sample: Sequence[Architecture],
    structure: ChainStructure | None = None,
    published: Sequence[Pack] = (),
) -> FewShotModel:
    """What the fleet measures are exported graphs, so blocks are counted as they are in them.

    Targets of another number type teach nothing: which blocks gain by int8 is what there is to learn.

    Args:
        sample: Networks drawn from the space, which say how often its blocks occur; two at least.
        structure: One that knows the space's blocks already, when a model is made again and again.
        published: Devices to learn from where the table has none (``exchange.shipped``).
    """
    structure = structure or ChainStructure(space)
    others = [one for one in table.targets() if _may_teach(one, target)]
    found = {one: good_networks(table, one, space) for one in others}
    teachers = {one: values for one, values in found.items() if len(set(values[0])) >= _FEWEST_TO_TEACH}
    own = good_networks(table, target, space)

    def believe() -> Believed:
        # Everything is looked at once before, so that all rows are of one width.
        structure.rows([*own[0], *(each for values in teachers.values() for each in values[0])])
        rows = structure.rows(sample)
        sources = [
            learn_source(
                structure,
                structure.rows(architectures),
                np.array(latency_ms),
                rows,
                name=one.key,
                family=one.device_model,
            )
            for one, (architectures, latency_ms, _) in teachers.items()
        ]
        if not sources:
            strangers = [one for one in published if _may_teach(one.target, target)]
            packed = [packed_source(structure, one, rows) for one in strangers]
            sources = [one for one in packed if one is not None]
        return (
            believed_from_sources(structure, sources) if sources else believed_from_features(structure, rows)
        )

    model = FewShotModel(structure, believe)
    model.observe(*own)
    return model


def _may_teach(one: Target, target: Target) -> bool:
    return one != target and one.precision is target.precision
