"""Which architecture is confirmed next, and which one is the answer."""

__all__ = ["CONFIRMATION_COUNT", "answer", "next_confirmation", "rank_observed"]

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from fleetnas_controller.strategies.objective import violation
from fleetnas_controller.strategies.strategy import Cap, Outcome
from fleetnas_controller.trials import Trial, TrialState

CONFIRMATION_COUNT = 2
"""Measurements apart in time that must each keep the caps: one interval knows nothing of the drift between two."""


def rank_observed(outcomes: Sequence[Outcome], caps: Sequence[Cap]) -> tuple[str, ...]:
    """Keys of the architectures, best first, for strategies that bring no ranking of their own.

    Those that keep the caps with two standard deviations to spare, by mean accuracy; then the others, the
    nearest miss first. Failed trials are left out.
    """
    accuracies: dict[str, list[float]] = defaultdict(list)
    excess: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        miss = violation(outcome, caps)
        if outcome.accuracy is not None and miss is not None:
            accuracies[outcome.architecture.key].append(outcome.accuracy)
            excess[outcome.architecture.key].append(miss)

    def order(key: str) -> tuple[float, float, str]:
        miss = sum(excess[key]) / len(excess[key])
        return (miss, -sum(accuracies[key]) / len(accuracies[key]), key)

    return tuple(sorted(accuracies, key=order))


def next_confirmation(
    ranking: Sequence[str], confirmations: Sequence[Trial], keeps: Callable[[Sequence[Trial]], bool]
) -> str | None:
    """The best architecture that still needs a confirmation.

    Args:
        ranking: Text forms, best first.
        confirmations: Finished ones.
        keeps: Whether an architecture's confirmations keep every cap.

    Returns:
        None when one has been confirmed often enough, or none is left.
    """
    by_architecture = _grouped(confirmations)
    for text in ranking:
        done = by_architecture.get(text, [])
        if done and not keeps(done):
            continue
        return text if len(done) < CONFIRMATION_COUNT else None
    return None


def answer(
    ranking: Sequence[str], confirmations: Sequence[Trial], keeps: Callable[[Sequence[Trial]], bool]
) -> str | None:
    """The best confirmed architecture; None when none was confirmed under the caps."""
    by_architecture = _grouped(confirmations)
    confirmed = [text for text in ranking if text in by_architecture and keeps(by_architecture[text])]
    whole = [text for text in confirmed if len(by_architecture[text]) >= CONFIRMATION_COUNT]
    return next(iter([*whole, *confirmed]), None)


def _grouped(trials: Sequence[Trial]) -> Mapping[str, list[Trial]]:
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.state is TrialState.FINISHED:
            groups[trial.architecture].append(trial)
    return groups
