"""A few-shot model of one target out of the latency table, which other targets in it lend their experience."""

__all__ = ["few_shot_model", "lent_model"]

from collections.abc import Sequence

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.lenders import Lenders, Networks, lenders_of
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.fitting import good_networks
from fleetnas_latency.repository import LatencyRepository
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace


def few_shot_model(
    table: LatencyRepository,
    target: Target,
    space: SearchSpace,
    sample: Sequence[Architecture],
    structure: ChainStructure | None = None,
    published: Sequence[Pack] = (),
) -> FewShotModel:
    """What the fleet measures are exported graphs, so blocks are counted as they are in them.

    Args:
        sample, published: As in ``lenders_of``.
        structure: One that knows the space's blocks already, when a model is made again and again.
    """
    structure = structure or ChainStructure(space)
    lenders = lenders_of(table, target, structure, sample, published)
    return lent_model(structure, lenders, good_networks(table, target, space))


def lent_model(structure: ChainStructure, lenders: Lenders, own: Networks) -> FewShotModel:
    """The model of a target with a few networks of its own, beside what the lenders say."""

    def believe() -> Believed:
        structure.rows(own[0])
        return lenders.believed()

    model = FewShotModel(structure, believe)
    model.observe(*own)
    return model
