"""(accuracy, readings, caps) -> one number, for the strategies that only understand numbers."""

__all__ = [
    "SIGMAS",
    "as_share",
    "cap_reading",
    "check_caps",
    "check_costs",
    "check_soft",
    "cost_readings",
    "excesses",
    "price_points",
    "reward",
    "settled",
    "violation",
]

from collections.abc import Iterable, Sequence

from fleetnas_controller.strategies.strategy import Cap, CapKind, Cost, Outcome, Problem, Reading, SoftCap
from fleetnas_search_spaces.errors import InvalidArgumentError

SIGMAS = 2.0
"""A cap counts as kept when the reading plus this many standard deviations lies under it."""

_INFEASIBLE = -1000.0
"""Above every reward that breaks a cap, below every accuracy (percent, or a negated loss)."""

_LEAST_FEASIBLE = -999.0
"""However high the price."""

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
    if cap.kind is CapKind.LATENCY_MS:
        return outcome.latencies.get(cap.device)
    return Reading(getattr(outcome, cap.kind))


def check_soft(problem: Problem) -> None:
    """Refuses prices that mean nothing.

    Raises:
        InvalidArgumentError: A front is searched, or a limit or price is not positive.
    """
    if problem.soft and problem.costs:
        raise InvalidArgumentError(
            "a soft latency puts a price on what a front shows whole; leave the soft latency or the objectives out"
        )
    for cap in problem.soft:
        if not (cap.limit_ms > 0.0 and cap.price > 0.0):
            raise InvalidArgumentError(
                f"the soft latency of '{cap.device}' is {cap.limit_ms} ms at {cap.price} points a millisecond; give "
                "numbers above zero"
            )


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
    return known and outcome.accuracy is not None and price_points(outcome, problem.soft) is not None


def price_points(outcome: Outcome, soft: Sequence[SoftCap]) -> float | None:
    """Points of accuracy that the latencies over soft caps cost; ``None`` when one of them was not measured."""
    price = 0.0
    for cap in soft:
        reading = outcome.latencies.get(cap.device)
        if reading is None:
            return None
        price += cap.price * max(0.0, reading.value - cap.limit_ms)
    return price


def reward(outcome: Outcome, caps: Sequence[Cap], soft: Sequence[SoftCap] = ()) -> float | None:
    """The accuracy less its price where every cap is kept; else a number below any such, falling with the violation.

    The fall is the same for every strategy, so that one that starts outside the caps finds its way in.

    Returns:
        ``None`` for a failed trial and for one whose capped quantities were not measured.
    """
    excess = violation(outcome, caps)
    price = price_points(outcome, soft)
    if outcome.accuracy is None or excess is None or price is None:
        return None
    if excess > 0.0:
        return _INFEASIBLE - _POINTS_PER_VIOLATION * excess
    return max(outcome.accuracy - price, _LEAST_FEASIBLE)


def as_share(value: float) -> float:
    """A ``reward`` on the scale of 1: an accuracy as a share, a broken cap as minus the excess, -1 at the lowest."""
    if value > _INFEASIBLE:
        return value / 100.0
    return -min((_INFEASIBLE - value) / _POINTS_PER_VIOLATION, 1.0)
