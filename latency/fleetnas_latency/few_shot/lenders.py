"""Other devices that lend a new one what they took: those of the latency table, or published ones."""

__all__ = ["FEWEST_TO_TEACH", "Lenders", "Networks", "lenders_of"]

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.packed_sources import packed_source
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.few_shot.source_prior import (
    SourceDevice,
    believed_from_features,
    believed_from_sources,
    device_family,
    learn_source,
)
from fleetnas_latency.fitting import good_networks
from fleetnas_latency.repository import LatencyRepository
from fleetnas_latency.target import PUBLISHED, Target
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.operators import Precision

FEWEST_TO_TEACH = 30
"""Measured networks that make a target a source for others, and that do without others."""

Networks = tuple[Sequence[Architecture], Sequence[float], Sequence[float]]


class Lenders:
    """What other devices say of a space's blocks; asked again when the structure has met new ones.

    Args:
        measured: The table's devices with their good networks. Where one was measured and not imported from what
            others published, none of ``published`` is asked; else those that are not in the table.
        sample: Networks drawn from the space, which say how often its blocks occur; two at least.
    """

    def __init__(
        self,
        structure: ChainStructure,
        measured: Mapping[Target, Networks],
        published: Sequence[Pack],
        sample: Sequence[Architecture],
    ) -> None:
        self._structure = structure
        self._measured = measured
        own = any(one.stand_in != PUBLISHED for one in measured)
        self._published = () if own else [one for one in published if one.target not in measured]
        self.sample = sample
        self._sources: tuple[int, tuple[SourceDevice, ...]] = (0, ())

    @property
    def names(self) -> tuple[str, ...]:
        """Device models, each once, sorted."""
        targets = [*self._measured, *(one.target for one in self._published)]
        return tuple(sorted({one.device_model for one in targets}))

    def sources(self) -> tuple[SourceDevice, ...]:
        """What each lends, over all entries met so far."""
        # Everything is looked at once before, so that all rows are of one width.
        self._structure.rows([each for values in self._measured.values() for each in values[0]])
        rows = self._structure.rows(self.sample)
        entry_count = rows.shape[-1]
        if self._sources[0] != entry_count:
            self._sources = entry_count, self._learned(rows)
        return self._sources[1]

    def _learned(self, rows: NDArray[np.float64]) -> tuple[SourceDevice, ...]:
        learned = [
            learn_source(
                self._structure,
                self._structure.rows(architectures),
                np.array(latency_ms),
                rows,
                name=one.key,
                family=device_family(one.device_model) if one.stand_in == PUBLISHED else one.device_model,
            )
            for one, (architectures, latency_ms, _) in self._measured.items()
        ]
        packed = [packed_source(self._structure, one, rows) for one in self._published]
        return (*learned, *(one for one in packed if one is not None))

    def believed(self) -> Believed:
        """What is believed of a new device: from the others, from the blocks' sizes where there are none."""
        sources = self.sources()
        if sources:
            return believed_from_sources(self._structure, sources)
        return believed_from_features(self._structure, self._structure.rows(self.sample))


def lenders_of(
    table: LatencyRepository,
    target: Target | None,
    structure: ChainStructure,
    sample: Sequence[Architecture],
    published: Sequence[Pack],
) -> Lenders:
    """All but ``target`` with ``FEWEST_TO_TEACH`` networks or more.

    Devices of another number type lend nothing: which blocks gain by int8 is what there is to learn.

    Args:
        target: None for a device that the table does not know; it is taken to run fp32.
        published: Devices to learn from where none was measured (``exchange.shipped``).
    """
    precision = Precision.FP32 if target is None else target.precision
    others = [one for one in table.targets() if one != target and one.precision is precision]
    found = {one: good_networks(table, one, structure.space) for one in others}
    measured = {one: values for one, values in found.items() if len(set(values[0])) >= FEWEST_TO_TEACH}
    alike = [one for one in published if one.target != target and one.target.precision is precision]
    return Lenders(structure, measured, alike, sample)
