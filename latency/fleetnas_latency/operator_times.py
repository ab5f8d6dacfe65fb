"""What each operator of a network takes."""

__all__ = ["OperatorTime", "operator_times"]

from collections.abc import Iterable
from dataclasses import dataclass

_MOST_OPERATORS = 200
_LONGEST_TEXT = 120


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator, by the runtime's own profiler.

    Attributes:
        name, kind: The runtime's words, e.g. ``"/features/0/Conv"`` and ``"Conv"``.
        mean_ms: Wall time in one inference.
        share: Of all operators' time.
    """

    name: str
    kind: str
    mean_ms: float
    share: float


def operator_times(
    totals: Iterable[tuple[str, str, float]], run_count: int, most: int = _MOST_OPERATORS
) -> tuple[OperatorTime, ...]:
    """The longest first; what is beyond ``most`` is put together at the end, so that a report stays small.

    Args:
        totals: Name, kind and milliseconds in all runs, of each operator.
    """
    ordered = sorted(totals, key=lambda one: -one[2])
    kept, rest = (ordered, []) if len(ordered) <= most else (ordered[: most - 1], ordered[most - 1 :])
    if rest:
        kept = [*kept, (f"{len(rest)} others", "", sum(one[2] for one in rest))]
    total_ms = sum(one[2] for one in ordered)
    return tuple(
        OperatorTime(
            name[:_LONGEST_TEXT],
            kind[:_LONGEST_TEXT],
            ms / run_count,
            ms / total_ms if total_ms > 0.0 else 0.0,
        )
        for name, kind, ms in kept
    )
