"""A device's latencies from a handful of measured networks and what other devices taught."""

__all__ = ["FewShotModel"]

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from fleetnas_latency.few_shot.calibration import LEVEL, interval_factor, student_scores
from fleetnas_latency.few_shot.choosing import NetworkChooser
from fleetnas_latency.few_shot.clock import clock_tick_ms
from fleetnas_latency.few_shot.robust_fit import Measured, fit_robust
from fleetnas_latency.few_shot.robust_posterior import Believed, Floats, RobustPosterior
from fleetnas_latency.few_shot.structure import Structure
from fleetnas_latency.model import BlockShare, EntryCoverage, Prediction
from fleetnas_latency.observed import Observed
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError

_HALF_OF_NORMAL = float(stats.norm.ppf(0.75))  # median error over standard deviation
_NORMAL_HALF = float(stats.norm.ppf(0.5 + LEVEL / 2.0))


class FewShotModel:
    """The interface of ``LatencyModel``, with what a runtime executes left open and noise allowed to be wild.

    Adding measurements costs nothing, the next prediction fits anew: 5 ms for 10 to 100 measured cells.

    Args:
        believe: Gives what is believed of the structure's entries before measuring (``source_prior``); asked again
            when the structure has met new ones.
    """

    def __init__(
        self,
        structure: Structure,
        believe: Callable[[], Believed],
    ) -> None:
        self._structure = structure
        self._believe = believe
        self._believed: Believed | None = None
        self._pseudo_scores = student_scores()
        self._observed = Observed(structure.space)
        self._posterior: RobustPosterior | None = None

    @property
    def space_name(self) -> str:
        return self._structure.space.name

    @property
    def network_count(self) -> int:
        """Different networks observed."""
        return len(self._observed)

    def observe(
        self, architectures: Sequence[Architecture], latency_ms: ArrayLike, std_ms: ArrayLike
    ) -> None:
        """As ``LatencyModel.observe``; architectures are told apart as written, not by their function."""
        self._observed.add(architectures, latency_ms, std_ms)
        self._posterior = None

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Mean, and the deviation whose normal 90 % interval covers 90 %.

        Raises:
            FailedPreconditionError: Nothing was observed yet.
        """
        rows = self._structure.rows(architectures)
        posterior = self._fitted()
        mean_ms, std_ms = posterior.networks(rows, self._tick_ms())
        factor = interval_factor(posterior.left_out_scores, self._pseudo_scores)
        return Prediction(mean_ms, std_ms * factor / _NORMAL_HALF)

    @property
    def observed(self) -> tuple[Architecture, ...]:
        """The networks observed, in the order they came."""
        return self._observed.architectures

    def hypothesis_weights(self) -> dict[str, float]:
        """How likely each idea of what the runtime executes is by now."""
        weights = self._fitted().hypothesis_weights()
        return {
            one.name: float(weight) for one, weight in zip(self._structure.hypotheses, weights, strict=True)
        }

    def coverage(self) -> tuple[EntryCoverage, ...]:
        """Every base entry, the overhead first."""
        mean_ms, std_ms = self._fitted().entries()
        measured = self._structure.rows(self._observed.architectures)[0] > 0.0
        return tuple(
            EntryCoverage(operator, float(mean), float(std), int(count))
            for operator, mean, std, count in zip(
                self._structure.operators, mean_ms, std_ms, measured.sum(axis=0), strict=False
            )
        )

    def requests(self) -> tuple[EntryCoverage, ...]:
        """Entries that no measured network has, the least certain first."""
        unknown = [one for one in self.coverage() if not one.network_count]
        return tuple(sorted(unknown, key=lambda one: -one.std_ms))

    def explain(self, architecture: Architecture) -> tuple[BlockShare, ...]:
        """The overhead and each kind of block of ``architecture``, with what all of its kind cost."""
        rows = self._structure.rows([architecture])
        mean_ms, std_ms = self._fitted().entries()
        row = rows[int(self._fitted().hypothesis_weights().argmax()), 0]
        return tuple(
            BlockShare(operator, float(count * mean), float(count * std))
            for operator, count, mean, std in zip(
                self._structure.operators, row, mean_ms, std_ms, strict=False
            )
            if count
        )

    def choose(
        self, candidates: Sequence[Architecture], asked: Sequence[Architecture], taken: Sequence[int]
    ) -> int:
        """Index of the candidate to measure next.

        Args:
            candidates: In random order; those of ``taken`` were measured already.
            asked: A sample of the networks whose latencies matter.
        """
        rows, asked_rows = self._structure.rows(candidates), self._structure.rows(asked)
        believed = self._prior()
        entry_counts = np.array([float(one.entry_count) for one in self._structure.hypotheses])
        chooser = NetworkChooser(believed, _widened(rows, asked_rows), asked_rows, entry_counts)
        return chooser.next(list(taken), self._fitted() if len(self._observed) else None)

    def foreseen_errors(
        self, candidates: Sequence[Architecture], asked: Sequence[Architecture], more_count: int
    ) -> tuple[float, float]:
        """Median relative error expected of the networks asked for: now, and after measuring some more.

        The networks to come are chosen as ``choose`` would, with the uncertainty as the only guide.
        """
        rows, asked_rows = self._structure.rows(candidates), self._structure.rows(asked)
        rows = _widened(rows, asked_rows)
        posterior = self._fitted()
        factor = interval_factor(posterior.left_out_scores, self._pseudo_scores) / _NORMAL_HALF
        now, later = (
            _HALF_OF_NORMAL * factor * float(np.median(posterior.foreseen(rows, asked_rows, count)))
            for count in (0, more_count)
        )
        return now, later

    def _tick_ms(self) -> float:
        return clock_tick_ms(self._observed.latency_ms)

    def _prior(self) -> Believed:
        if self._believed is None or self._believed.mean.shape[1] != self._structure_width():
            self._believed, self._posterior = self._believe(), None
        return self._believed

    def _structure_width(self) -> int:
        return max(one.entry_count for one in self._structure.hypotheses)

    def _fitted(self) -> RobustPosterior:
        if not len(self._observed):
            raise FailedPreconditionError(
                f"no latency of space '{self.space_name}' was observed on this target: measure some networks."
            )
        rows = self._structure.rows(self._observed.architectures)
        believed = self._prior()
        if self._posterior is None:
            variance_ms2 = self._observed.variance_ms2 + self._tick_ms() ** 2 / 12.0
            measured = Measured(rows, self._observed.latency_ms, variance_ms2)
            self._posterior = fit_robust(believed, measured)
        return self._posterior


def _widened(rows: Floats, like: Floats) -> Floats:
    """Rows made before the structure met more entries."""
    missing = like.shape[2] - rows.shape[2]
    return np.pad(rows, ((0, 0), (0, 0), (0, missing))) if missing else rows
