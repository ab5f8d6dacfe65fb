"""Means and intervals of many thousand networks in milliseconds: the fitted model as one table for each part."""

__all__ = ["BatchPredictor"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.model import LatencyModel, Prediction
from fleetnas_latency.segments import Segments
from fleetnas_search_spaces.architecture import Architecture, SearchSpace

Floats32 = NDArray[np.float32]
_LEAST_PREDICTED = 0.1


@dataclass(frozen=True, slots=True)
class _Tables:
    """Of each combination of each part, what it adds; all of them one after the other.

    Attributes:
        added: Shape ``(combinations, C + F + 1 + N)``: to each component's mean, to the features shared by blocks,
            to the variance blocks have alone, to what was explained by the measured networks.
        overhead: Shape ``(C + F + 1 + N,)``, what every network has.
        starts: Where each part's combinations begin.
        met: Combinations of each part that are in it.
    """

    added: Floats32
    overhead: Floats32
    starts: NDArray[np.int64]
    met: tuple[int, ...]


class BatchPredictor:
    """``LatencyModel.predict`` for batches: a network is a sum of parts, so each part is looked up.

    Equal to it but for two things: a network that was measured itself counts as any other, and a block that runs
    in two parts counts as two blocks alike. Combinations of decisions not met before cost a graph each, once; the
    predictor stays what the model was when it was made.

    Args:
        segments: Kept between models of one space, so that no combination is met twice.
    """

    def __init__(self, model: LatencyModel, space: SearchSpace, segments: Segments | None = None) -> None:
        self._model = model
        self._posterior = model.fitted()
        self._counts = model.block_counts
        self.segments = segments or Segments(space, self._counts)
        self._tables = self._tabulated()

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """As ``predict_choices``, of architectures."""
        choices = np.array([one.choices for one in architectures], dtype=np.int64)
        return self.predict_choices(choices)

    def predict_choices(self, choices: NDArray[np.int64]) -> Prediction:
        """Mean and standard deviation.

        Args:
            choices: Shape ``(N, decisions)``, canonical or not.
        """
        places = self.segments.indices(choices)
        if tuple(len(one) for one in self.segments.entries) != self._tables.met:
            self._tables = self._tabulated()
        tables = self._tables
        total = np.broadcast_to(tables.overhead, (len(choices), len(tables.overhead))).copy()
        gathered = np.empty_like(total)
        for start, place in zip(tables.starts, places, strict=True):
            np.take(tables.added, start + place, axis=0, out=gathered, mode="clip")
            total += gathered
        return self._prediction(total)

    def _prediction(self, total: Floats32) -> Prediction:
        components = self._posterior.components
        count, features = len(components), self._posterior.prior.shared.shape[1]
        weights = np.array([one.weight for one in components], dtype=np.float32)
        sigmas = np.array([one.sigma for one in components], dtype=np.float32)
        means, rest = total[:, :count], total[:, count:]
        mean = means @ weights
        shared, alone, explained = rest[:, :features], rest[:, features], rest[:, features + 1 :]
        variance = np.einsum("nf,nf->n", shared, shared) + alone
        variance -= np.einsum("nk,nk->n", explained, explained)
        misfit = (sigmas * means) ** 2 @ weights
        between = (means - mean[:, None]) ** 2 @ weights
        spread = np.sqrt(np.maximum(variance, 0.0) + misfit + between)
        scale_ms = self._posterior.scale_ms
        least_ms = _LEAST_PREDICTED * self._posterior.least_ms
        return Prediction(
            np.maximum(scale_ms * mean, least_ms).astype(float), (scale_ms * spread).astype(float)
        )

    def _tabulated(self) -> _Tables:
        """Each part's mean goes to what all networks have: what is explained cancels out, float32 would lose it."""
        met = tuple(len(one) for one in self.segments.entries)
        by_entry = self._by_entry()
        alone, overhead, parts = self._alone_column(), by_entry[0].copy(), []
        for combinations in self.segments.entries:
            if combinations:
                sums = np.array([_summed(by_entry, entries, alone) for entries in combinations])
                overhead += sums.mean(axis=0)
                parts.append((sums - sums.mean(axis=0)).astype(np.float32))
        added = np.concatenate(parts) if parts else np.zeros((0, len(overhead)), np.float32)
        starts = np.concatenate([[0], np.cumsum(met)[:-1]]).astype(np.int64)
        return _Tables(added, overhead.astype(np.float32), starts, met)

    def _alone_column(self) -> int:
        features: int = self._posterior.prior.shared.shape[1]
        return len(self._posterior.components) + features

    def _by_entry(self) -> NDArray[np.float64]:
        """Of each entry of the model, one row of the tables; the overhead first.

        The posteriors under all sizes of misfit explain with one matrix: the root of their mixed precision.
        """
        missing = self._counts.entry_count - self._posterior.entry_count
        if missing:
            self._posterior = self._model.fitted()  # wider by the blocks met since
        prior, measured = self._posterior.prior, self._posterior.counts
        cross = prior.shared @ (measured @ prior.shared).T + (measured * prior.own**2).T
        solved = np.array([one.solved for one in self._posterior.components])
        means = prior.mean[:, None] + cross @ solved.T
        precision = sum(
            one.weight * one.inverse_root.T @ one.inverse_root for one in self._posterior.components
        )
        values, vectors = np.linalg.eigh(precision)
        explained = cross @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        return np.hstack([means, prior.shared, prior.own[:, None] ** 2, explained])


def _summed(by_entry: NDArray[np.float64], entries: tuple[int, ...], alone: int) -> NDArray[np.float64]:
    """Sum over the entries of a combination; what a block has alone counts squared when it is run again."""
    total: NDArray[np.float64] = (
        by_entry[list(entries)].sum(axis=0) if entries else np.zeros(by_entry.shape[1])
    )
    different, repeats = (
        np.unique(entries, return_counts=True) if entries else (np.zeros(0, int), np.zeros(0))
    )
    total[alone] = (repeats**2 * by_entry[different, alone]).sum()
    return total
