"""What networks take on a device that was never measured: as on the others, whose speeds differ by a factor."""

__all__ = ["GuessedModel"]

from collections.abc import Sequence

import numpy as np
from scipy import stats

from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.lenders import Lenders
from fleetnas_latency.few_shot.robust_posterior import Floats
from fleetnas_latency.few_shot.source_prior import SourceDevice, family_weights
from fleetnas_latency.model import EntryCoverage, Prediction
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError

_SPREAD, _SPREAD_COUNT = 1.0, 4
_LEAST_RELATIVE = 0.05
_QUARTER, _END = 0.75, 0.975


class GuessedModel:
    """Costs are the mean of the lenders', their speed is the geometric mean, each family weighing the same.

    How far the new device may be off is what the lenders' families differ by, as one draw more of a Student
    distribution; four families that differ by a factor of ``e`` count beside them, so that one lender alone gives
    an interval too.
    """

    def __init__(self, structure: ChainStructure, lenders: Lenders) -> None:
        self._structure = structure
        self._lenders = lenders

    @property
    def network_count(self) -> int:
        return 0

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Medians with the factor of their 95 % interval.

        Raises:
            FailedPreconditionError: No device lends anything.
        """
        mean_ms, deviation, freedom = self._spread(architectures)
        factor = np.exp(float(stats.t.ppf(_END, freedom)) * deviation)
        return Prediction(mean_ms, mean_ms * (factor - 1.0 / factor) / 3.92, factor)

    def median_error(self) -> float:
        """Relative error that half of the sampled networks are expected to exceed."""
        _, deviation, freedom = self._spread(self._lenders.sample)
        return float(np.median(np.expm1(float(stats.t.ppf(_QUARTER, freedom)) * deviation)))

    def coverage(self) -> tuple[EntryCoverage, ...]:
        """Every entry met so far, the overhead first; none was measured."""
        sources = self._sources()
        weights, unit_ms = family_weights(sources), _unit_ms(sources)
        costs = np.array([one.costs for one in sources])
        mean_ms = unit_ms * (weights @ costs)
        each_ms = costs * np.array([one.mean_ms for one in sources])[:, None]
        std_ms = np.sqrt(weights @ (each_ms - mean_ms) ** 2)
        return tuple(
            EntryCoverage(operator, float(mean), float(std), 0)
            for operator, mean, std in zip(self._structure.operators, mean_ms, std_ms, strict=True)
        )

    def _spread(self, architectures: Sequence[Architecture]) -> tuple[Floats, Floats, int]:
        """Median of each network, deviation of its logarithm, degrees of freedom."""
        self._structure.rows(architectures)  # blocks not met before become entries
        sources = self._sources()
        rows = self._structure.rows(architectures)[0]
        weights, unit_ms = family_weights(sources), _unit_ms(sources)
        costs = np.array([one.costs for one in sources])
        relative = np.maximum(rows @ costs.T, _LEAST_RELATIVE)
        mean_ms = unit_ms * np.maximum(rows @ (weights @ costs), _LEAST_RELATIVE)
        logs = np.log(relative * np.array([one.mean_ms for one in sources]))
        families = len({one.family for one in sources})
        squares = families * ((logs - np.log(mean_ms)[:, None]) ** 2 @ weights)
        freedom = _SPREAD_COUNT + families - 1
        variance = (_SPREAD_COUNT * _SPREAD**2 + squares) / freedom
        return mean_ms, np.sqrt(variance * (1.0 + 1.0 / families)), freedom

    def _sources(self) -> tuple[SourceDevice, ...]:
        sources = self._lenders.sources()
        if not sources:
            raise FailedPreconditionError(
                f"no latency of space '{self._structure.space.name}' was observed on this target, and no other "
                "device of its number type is known to guess from: measure some networks with 'fleetnas latency "
                "profile'."
            )
        return sources


def _unit_ms(sources: Sequence[SourceDevice]) -> float:
    speeds = np.log([one.mean_ms for one in sources])
    return float(np.exp(family_weights(sources) @ speeds))
