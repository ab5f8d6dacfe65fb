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

_SPREAD, _SPREAD_FAMILIES, _SPREAD_COUNT = 1.0, 2.0, 200
_LEAST_RELATIVE = 0.05
_LEVEL = 0.95


class GuessedModel:
    """Costs are the mean of the lenders', their speed is the geometric mean, each family weighing the same.

    How far the new device may be off is how far each family is off when it is guessed from the others, the conformal
    quantile of these errors' logarithms. Two families that differ by a factor of ``e`` count beside them, one as the
    device to come, so that one lender alone gives an interval too and ten leave room for a stranger.
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
        mean_ms = np.exp(self._logs(architectures))
        factor = np.full_like(mean_ms, self.factor(_LEVEL))
        return Prediction(mean_ms, mean_ms * (factor - 1.0 / factor) / 3.92, factor)

    def median_error(self) -> float:
        """Relative error that half of the guesses are expected to exceed."""
        return self.factor(0.5) - 1.0

    def factor(self, level: float) -> float:
        """By which factor a network's latency lies above or below its guess at most, with a probability of ``level``.

        Raises:
            FailedPreconditionError: No device lends anything.
        """
        sources, rows = self._sources(), self._structure.rows(self._lenders.sample)[0]
        families = [one.family for one in sources]
        count = len(set(families))
        middles = (np.arange(_SPREAD_COUNT) + 0.5) / _SPREAD_COUNT
        unknown = _SPREAD * np.sqrt(1.0 + 1.0 / count) * stats.norm.ppf(0.5 + middles / 2.0)
        errors, weights = [unknown], [np.full(_SPREAD_COUNT, _SPREAD_FAMILIES / _SPREAD_COUNT)]
        for one in sources if count > 1 else ():
            others = [other for other in sources if other.family != one.family]
            errors.append(np.abs(_logs([one], rows) - _logs(others, rows)))
            weights.append(np.full(len(rows), 1.0 / (len(rows) * families.count(one.family))))
        return float(np.exp(_quantile(np.concatenate(errors), np.concatenate(weights), level)))

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

    def _logs(self, architectures: Sequence[Architecture]) -> Floats:
        """Logarithm of each network's guess in milliseconds."""
        self._structure.rows(architectures)  # blocks not met before become entries
        sources = self._sources()
        return _logs(sources, self._structure.rows(architectures)[0])

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


def _logs(sources: Sequence[SourceDevice], rows: Floats) -> Floats:
    costs = family_weights(sources) @ np.array([one.costs for one in sources])
    guesses: Floats = np.log(_unit_ms(sources) * np.maximum(rows @ costs, _LEAST_RELATIVE))
    return guesses


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(shares, level)), len(values) - 1)])
