"""(accuracy, readings, caps) -> one number, for the strategies that only understand numbers."""

__all__ = [
    "SIGMAS",
    "cap_reading",
    "check_caps",
    "check_costs",
    "cost_readings",
    "excesses",
    "reward",
    "settled",
    "violation",
]

from collections.abc import Iterable, Sequence

from fleetnas_controller.strategies.strategy import Cap, CapKind, Cost, Outcome, Problem, Reading
from fleetnas_search_spaces.errors import InvalidArgumentError

SIGMAS = 2.0
"""A cap counts as kept when the reading plus this many standard deviations lies under it."""

_INFEASIBLE = -1000.0
"""Above every reward that breaks a cap, below every accuracy (percent, or a negated loss)."""

_POINTS_PER_VIOLATION = 100.0
"""Ten percent over a cap weigh like ten points of accuracy, so that annealing's temperature fits both."""


def check_caps(caps: Iterable[Cap]) -> None:
    """Refuses limits that no network keeps.

    Raises:
        InvalidArgumentError: A limit is not positive, or a latency cap names no device.
    """
    for cap in caps:
        if not cap.limit > 0.0:
            raise InvalidArgumentError(f"the cap on {cap.name} is {cap.limit}; give a limit above zero")
        if cap.kind is CapKind.LATENCY_MS and not cap.device:
            raise InvalidArgumentError(f"the latency cap of {cap.limit} ms names no device; name one")


def cap_reading(outcome: Outcome, cap: Cap | Cost) -> Reading | None:
    """The quantity in the cap's or cost's unit; ``None`` when it was not measured."""
    if cap.kind is CapKind.MACS:
        return Reading(outcome.macs)
    if cap.kind is CapKind.PARAMS:
        return Reading(outcome.params)
    return outcome.latencies.get(cap.device)


def check_costs(costs: Sequence[Cost]) -> None:
    """Refuses axes of a front that no network can be placed on.

    Raises:
        InvalidArgumentError: A latency names no device, a corner is not positive, or an axis occurs twice.
    """
    for cost in costs:
        if cost.kind is CapKind.LATENCY_MS and not cost.device:
            raise InvalidArgumentError("a latency is to be minimised but no device is named; name one")
        if cost.worst is not None and not cost.worst > 0.0:
            raise InvalidArgumentError(f"the worst {cost.name} is {cost.worst}; give a number above zero")
    names = [cost.name for cost in costs]
    if len(set(names)) != len(names):
        raise InvalidArgumentError(f"the objectives are {', '.join(names)}; name each only once")


def cost_readings(outcome: Outcome, costs: Sequence[Cost]) -> list[Reading] | None:
    """What a trial costs, axis by axis; ``None`` when one of them was not measured."""
    readings = [cap_reading(outcome, cost) for cost in costs]
    known = [reading for reading in readings if reading is not None]
    return known if len(known) == len(readings) else None


def excesses(outcome: Outcome, caps: Sequence[Cap]) -> dict[str, float] | None:
    """By how much the upper end of each reading exceeds its cap, as a share of the cap; negative when kept.

    Returns:
        By the cap's name; ``None`` when a capped quantity was not measured: nothing is known then, not even
        "broken".
    """
    found: dict[str, float] = {}
    for cap in caps:
        reading = cap_reading(outcome, cap)
        if reading is None:
            return None
        excess = (reading.value + SIGMAS * reading.std) / cap.limit - 1.0
        found[cap.name] = max(excess, found.get(cap.name, excess))
    return found


def violation(outcome: Outcome, caps: Sequence[Cap]) -> float | None:
    """Sum of the positive ``excesses``; 0 when every cap is kept, ``None`` when that is not known."""
    found = excesses(outcome, caps)
    return None if found is None else sum(max(0.0, one) for one in found.values())


def settled(outcome: Outcome, problem: Problem) -> bool:
    """Whether everything that the problem asks about is known of the trial."""
    known = excesses(outcome, problem.caps) is not None and cost_readings(outcome, problem.costs) is not None
    return known and outcome.accuracy is not None


def reward(outcome: Outcome, caps: Sequence[Cap]) -> float | None:
    """The accuracy where every cap is kept; else a number below any accuracy, falling with the violation.

    The fall is the same for every strategy, so that one that starts outside the caps finds its way in.

    Returns:
        ``None`` for a failed trial and for one whose capped quantities were not measured.
    """
    excess = violation(outcome, caps)
    if outcome.accuracy is None or excess is None:
        return None
    return outcome.accuracy if excess == 0.0 else _INFEASIBLE - _POINTS_PER_VIOLATION * excess
