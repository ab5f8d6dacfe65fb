"""What each operator of a network takes."""

__all__ = ["OperatorTime", "operator_times"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

_MOST_OPERATORS = 200
_LONGEST_TEXT = 120


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator, by the runtime's own profiler.

    Attributes:
        name, kind: The runtime's words, e.g. ``"/features/0/Conv"`` and ``"Conv"``.
        median_ms: Wall time in one inference, with the profiler's own cost.
        share: Of all operators' time.
    """

    name: str
    kind: str
    median_ms: float
    share: float


def operator_times(
    times_ms: Mapping[tuple[str, str], Sequence[float]], most: int = _MOST_OPERATORS
) -> tuple[OperatorTime, ...]:
    """The longest first; what is beyond ``most`` is put together at the end, so that a report stays small.

    Args:
        times_ms: By name and kind, one for each run, at least one.
    """
    ordered = sorted(
        ((*names, median(runs)) for names, runs in times_ms.items()), key=lambda one: (-one[2], one[0])
    )
    total_ms = sum(one[2] for one in ordered)
    kept, rest = (ordered, []) if len(ordered) <= most else (ordered[: most - 1], ordered[most - 1 :])
    if rest:
        kept.append((f"{len(rest)} others", "", sum(one[2] for one in rest)))
    return tuple(
        OperatorTime(name[:_LONGEST_TEXT], kind[:_LONGEST_TEXT], ms, ms / total_ms if total_ms > 0.0 else 0.0)
        for name, kind, ms in kept
    )
