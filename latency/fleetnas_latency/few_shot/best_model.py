"""The model that suits what is known of a target: its own networks, few of them and other devices, others alone."""

__all__ = ["BestModel", "Forecast", "best_model"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.from_table import lent_model
from fleetnas_latency.few_shot.guessed_model import GuessedModel
from fleetnas_latency.few_shot.lenders import FEWEST_TO_TEACH, lenders_of
from fleetnas_latency.fitting import fit, good_networks
from fleetnas_latency.model import BlockShare, LatencyModel, Prediction
from fleetnas_latency.repository import LatencyRepository
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace

_SAMPLE_COUNT = 200
_MORE_COUNT = 10


@dataclass(frozen=True, slots=True)
class Forecast:
    """What ``more_count`` measurements would bring: the expected median relative error now and then."""

    more_count: int
    now: float
    later: float


@dataclass(frozen=True, slots=True)
class BestModel:
    """A model and what it stands on.

    Attributes:
        lenders: Device models whose latencies fill in for missing measurements; none where the target's own suffice.
        forecast: None where nothing is lent.
    """

    model: LatencyModel | FewShotModel | GuessedModel
    lenders: tuple[str, ...]
    forecast: Forecast | None
    _counts: Callable[[Architecture], tuple[int, ...]]

    @property
    def network_count(self) -> int:
        """Different networks that were measured on the target."""
        return self.model.network_count

    @property
    def guessed(self) -> bool:
        """Whether nothing was measured on the target."""
        return not self.model.network_count

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return self.model.predict(architectures)

    def explain(self, architecture: Architecture) -> tuple[BlockShare, ...]:
        """The overhead and each block of ``architecture`` in order, with what it costs."""
        places = (0, *self._counts(architecture))
        entries = self.model.coverage()
        return tuple(
            BlockShare(entries[one].operator, entries[one].mean_ms, entries[one].std_ms) for one in places
        )

    def known_shares(self, architectures: Sequence[Architecture]) -> list[float]:
        """How much of each latency, 0 to 1, is of blocks that a network measured on the target runs; the rest is
        believed from other devices or from the blocks' sizes.
        """
        runs = [(0, *self._counts(one)) for one in architectures]
        entries = self.model.coverage()
        costs_ms = [max(one.mean_ms, 0.0) for one in entries]
        known_ms = [cost if one.network_count else 0.0 for cost, one in zip(costs_ms, entries, strict=True)]
        sums = [(sum(known_ms[one] for one in run), sum(costs_ms[one] for one in run)) for run in runs]
        return [known / whole if whole > 0.0 else 0.0 for known, whole in sums]


def best_model(
    table: LatencyRepository,
    target: Target | None,
    space: SearchSpace,
    published: Callable[[], Sequence[Pack]],
) -> BestModel:
    """The exact regression from 30 networks on or where no other device is known; else the few-shot model, which
    borrows from the others; without a network of its own a guess.

    Args:
        target: None for a device that the table does not know.
        published: Devices to learn from where none was measured (``exchange.shipped``); asked only when needed.

    Raises:
        FailedPreconditionError: Nothing was measured and nothing is lent.
    """
    own = LatencyModel(space) if target is None else fit(table, target, space)
    if own.network_count >= FEWEST_TO_TEACH:
        return BestModel(own, (), None, own.block_counts.entries)
    structure = ChainStructure(space)
    rng = Random(0)
    sample = [space.canonical(space.sample(rng)) for _ in range(_SAMPLE_COUNT)]
    lenders = lenders_of(table, target, structure, sample, published())
    candidates, asked = sample[: _SAMPLE_COUNT // 2], sample[_SAMPLE_COUNT // 2 :]
    if target is None or not own.network_count:
        guess = GuessedModel(structure, lenders)
        now = guess.median_error()
        # How uncertain ten measurements leave it does not hang on what they will say: the first may be the guess.
        first = FewShotModel(structure, lenders.believed)
        first.observe([space.canonical(space.reference)], guess.predict([space.reference]).mean_ms, [0.0])
        _, later = first.foreseen_errors(candidates, asked, _MORE_COUNT - 1)
        return BestModel(guess, lenders.names, Forecast(_MORE_COUNT, now, later), structure.entries)
    if not lenders.names:
        return BestModel(own, (), None, own.block_counts.entries)
    few = lent_model(structure, lenders, good_networks(table, target, space))
    forecast = Forecast(_MORE_COUNT, *few.foreseen_errors(candidates, asked, _MORE_COUNT))
    return BestModel(few, lenders.names, forecast, structure.entries)
