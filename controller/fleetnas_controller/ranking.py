"""Which architecture is confirmed next, and which one is the answer."""

__all__ = [
    "CONFIRMATION_COUNT",
    "answer",
    "front_observed",
    "never_finished",
    "next_confirmation",
    "next_of_front",
    "rank_observed",
    "spread_evenly",
]

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from fleetnas_controller.strategies.hypervolume import nondominated
from fleetnas_controller.strategies.objective import cost_readings, price_points, violation
from fleetnas_controller.strategies.strategy import Cap, Cost, Outcome, SoftCap
from fleetnas_controller.trials import Trial, TrialState

CONFIRMATION_COUNT = 2
"""Measurements apart in time that must each keep the caps: one interval knows nothing of the drift between two."""


def rank_observed(
    outcomes: Sequence[Outcome], caps: Sequence[Cap], soft: Sequence[SoftCap] = ()
) -> tuple[str, ...]:
    """Keys of the architectures, best first, for strategies that bring no ranking of their own.

    Those that keep the caps with two standard deviations to spare, by mean accuracy less the price of soft
    caps; then the others, the nearest miss first. Failed trials are left out.
    """
    accuracies: dict[str, list[float]] = defaultdict(list)
    excess: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        miss, price = violation(outcome, caps), price_points(outcome, soft)
        if outcome.accuracy is not None and miss is not None and price is not None:
            accuracies[outcome.architecture.key].append(outcome.accuracy - price)
            excess[outcome.architecture.key].append(miss)

    def order(key: str) -> tuple[float, float, str]:
        miss = sum(excess[key]) / len(excess[key])
        return (miss, -sum(accuracies[key]) / len(accuracies[key]), key)

    return tuple(sorted(accuracies, key=order))


def front_observed(
    outcomes: Sequence[Outcome], caps: Sequence[Cap], costs: Sequence[Cost]
) -> tuple[str, ...]:
    """Keys of the architectures that none of the others beats in accuracy and every cost, by descending accuracy.

    From the means of what was observed. Failed trials, those that break a cap and those without a reading for every
    cost are left out; of equal ones the first stays.
    """
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for outcome in outcomes:
        readings = cost_readings(outcome, costs)
        if outcome.accuracy is not None and readings is not None and violation(outcome, caps) == 0.0:
            rows[outcome.architecture.key].append([-outcome.accuracy, *(one.value for one in readings)])
    if not rows:
        return ()
    points = np.array([np.mean(values, axis=0) for values in rows.values()])
    keys = list(rows)
    return tuple(keys[row] for row in sorted(nondominated(points), key=lambda row: points[row, 0]))


def spread_evenly(front: Sequence[str], count: int) -> list[str]:
    """``count`` members of a front, its ends among them; all of a front that has no more."""
    last = max(count - 1, 1)
    return [front[round(index * (len(front) - 1) / last)] for index in range(min(count, len(front)))]


def next_of_front(front: Sequence[str], confirmations: Sequence[Trial], count: int) -> str | None:
    """The member of a front to confirm next: of ``count`` spread evenly along it, the first that was not yet."""
    done = {one.architecture for one in confirmations}
    return next((text for text in (*spread_evenly(front, count), *front) if text not in done), None)


def never_finished(trials: Iterable[Trial]) -> set[str]:
    """Text forms of the architectures whose trainings were all ended early."""
    texts: dict[TrialState, set[str]] = defaultdict(set)
    for one in trials:
        texts[one.state].add(one.architecture)
    return texts[TrialState.STOPPED] - texts[TrialState.FINISHED]


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
