"""The latency table as clients ask it: by a device in words, an architecture in text."""

__all__ = ["LatencyAnswer", "LatencyBook", "PredictedLatencies", "PredictedLatency"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.latency_targets import wanted_target
from fleetnas_latency.exchange.shipped import shipped_packs_of
from fleetnas_latency.few_shot.best_model import best_model
from fleetnas_latency.repository import EntrySource
from fleetnas_latency.table import LatencyTable, open_table
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.registry import space as space_of

_MAX_ARCHITECTURES = 10_000


@dataclass(frozen=True, slots=True)
class LatencyAnswer:
    """What is known under one key, milliseconds; ``updated_time`` in seconds since 1970."""

    key: str
    mean_ms: float
    std_ms: float
    source: EntrySource
    count: int
    updated_time: float
    target: Target | None


@dataclass(frozen=True, slots=True)
class PredictedLatency:
    """A network's predicted latency, milliseconds; where nothing was measured the deviation is that of a factor's
    interval, low and high evened out.
    """

    architecture: str
    mean_ms: float
    std_ms: float


@dataclass(frozen=True, slots=True)
class PredictedLatencies:
    """Predictions on one target, from ``network_count`` networks that were measured on it.

    Attributes:
        network_count: At 0 the predictions are guesses from ``lenders`` alone.
        lenders: Device models that fill in for missing measurements; none where the target's own suffice.
    """

    target: Target | None
    network_count: int
    predictions: tuple[PredictedLatency, ...]
    lenders: tuple[str, ...] = ()


class LatencyBook:
    """Answers from a table that other processes write. Each call opens it, so any thread may ask.

    Args:
        path: The table's file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def targets(self) -> tuple[Target, ...]:
        """In the order of their keys; none when nothing was measured yet."""
        if not self._path.is_file():
            return ()
        with self._table() as table:
            return table.targets()

    def query(self, device: str, space: str, key: str) -> LatencyAnswer:
        """Good measurements of exactly that, else what was learned.

        Args:
            device: An agent's id, a device model, or a part of a target's key; empty for the only target.
            key: An architecture in the space's text form, or a block's key.

        Raises:
            NotFoundError: No such target or space, or nothing is known of the key.
        """
        with self._table() as table:
            target = wanted_target(table, device)
            entry = table.query(target, _key(space, key))
        return LatencyAnswer(
            entry.key, entry.mean_ms, entry.std_ms, entry.source, entry.count, entry.updated_time, target
        )

    def predict(self, device: str, space: str, architectures: Sequence[str]) -> PredictedLatencies:
        """Predicts from every good measurement of the space's networks on the target, and where these are few from
        what other devices lend.

        Raises:
            NotFoundError: No such target or space.
            FailedPreconditionError: Nothing was measured on the target and no other device is known.
            InvalidArgumentError: No architecture, too many, or a text that is none.
        """
        if not 1 <= len(architectures) <= _MAX_ARCHITECTURES:
            raise InvalidArgumentError(
                f"`architectures` ({len(architectures)}) must be 1 to {_MAX_ARCHITECTURES}. Ask in parts."
            )
        wanted = space_of(space)
        parsed = [wanted.canonical(wanted.parse(text)) for text in architectures]
        with self._table() as table:
            target = wanted_target(table, device)
            model = best_model(table, target, wanted, lambda: shipped_packs_of(wanted.name))
        prediction = model.predict(parsed)
        predicted = tuple(
            PredictedLatency(text, float(mean), float(std))
            for text, mean, std in zip(architectures, prediction.mean_ms, prediction.std_ms, strict=True)
        )
        return PredictedLatencies(target, model.network_count, predicted, model.lenders)

    @contextmanager
    def _table(self) -> Iterator[LatencyTable]:
        if not self._path.is_file():
            raise NotFoundError(
                "nothing was measured on this controller yet; a search fills its latency table."
            )
        table = open_table(self._path)
        try:
            yield table
        finally:
            table.close()


def _key(space: str, text: str) -> str:
    wanted = space_of(space)
    try:
        return wanted.canonical(wanted.parse(text)).key
    except InvalidArgumentError:
        return text  # a block's key
