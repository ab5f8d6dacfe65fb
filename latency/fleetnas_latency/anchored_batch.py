"""A batch between two looks at the anchor: a device that changed its speed meanwhile rests and begins again."""

__all__ = ["REPEAT_LIMIT", "AnchorDrift", "longest_s", "measure_anchored"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from fleetnas_latency.batch import measure_batch
from fleetnas_latency.plan import Clock, Plan, Runner
from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.sampling import RawMeasurement, measure
from fleetnas_latency.statistics import Estimate

REPEAT_LIMIT = 3
"""Times that a batch is measured again because the anchor drifted."""

_FIRST_REST_S = 10.0
_LOOK_MIN_S = 0.2
_LOOK_MAX_S = 1.5


@dataclass(frozen=True, slots=True)
class AnchorDrift:
    """The anchor alone before and after a batch, milliseconds.

    Attributes:
        repeat_count: Batches before this one that were thrown away because the anchor had drifted.
    """

    before: Estimate
    after: Estimate
    repeat_count: int = 0

    @property
    def change(self) -> float:
        """Relative."""
        return self.after.value / self.before.value - 1.0

    def exceeds(self, limit: float) -> bool:
        """Whether it is beyond ``limit`` and no matter of wide intervals."""
        apart = self.before.high < self.after.low or self.after.high < self.before.low
        return apart and abs(self.change) > limit

    def facts(self) -> dict[str, str]:
        """As evidence."""
        return {
            "anchor_before_ms": f"{self.before.value:.6g}",
            "anchor_after_ms": f"{self.after.value:.6g}",
            "anchor_change": f"{self.change:+.4f}",
            "drift_repeats": str(self.repeat_count),
        }


def measure_anchored(
    candidates: Sequence[Runner],
    anchor: Runner,
    plan: Plan,
    clock: Clock,
    rng: Random,
    rest: Callable[[float], None],
    progress: Callable[[], None] = lambda: None,
) -> tuple[tuple[RawMeasurement, ...], AnchorDrift]:
    """As ``measure_batch``, with the anchor measured alone before and after.

    Where the anchor changed by more than ``plan.drift_limit`` the device rests, 10 s at first and twice as long each
    further time, and the batch is measured again, three times at most. What the last try gave is returned with its
    drift, which ``judge`` turns into ``throttled`` where it still exceeds the limit.

    Args:
        rest: Lets so many seconds pass without work.

    Raises:
        InvalidArgumentError, FailedPreconditionError: As ``measure_batch``.
    """
    repeat_count = 0
    while True:
        before = _look(anchor, plan, clock, progress)
        found = measure_batch(candidates, anchor, plan, clock, rng, progress)
        drift = AnchorDrift(before, _look(anchor, plan, clock, progress), repeat_count)
        if repeat_count == REPEAT_LIMIT or not drift.exceeds(plan.drift_limit):
            return found, drift
        rest(_FIRST_REST_S * 2.0**repeat_count)
        repeat_count += 1


def longest_s(plan: Plan, network_count: int) -> float:
    """Seconds that ``measure_anchored`` may take with every repeat, but for the last round of each try."""
    one_try_s = network_count * (plan.warmup_cap_s + plan.max_duration_s) + 4.0 * _LOOK_MAX_S
    rests_s = sum(_FIRST_REST_S * 2.0**index for index in range(REPEAT_LIMIT))
    return (1 + REPEAT_LIMIT) * one_try_s + rests_s


def _look(anchor: Runner, plan: Plan, clock: Clock, progress: Callable[[], None]) -> Estimate:
    """The anchor's headline from a second or so, narrow enough to see a drift of the plan's limit."""
    quick = replace(
        plan,
        relative_half_width=max(plan.relative_half_width, plan.drift_limit / 3.0),
        min_duration_s=min(plan.min_duration_s, _LOOK_MIN_S),
        max_duration_s=min(plan.max_duration_s, _LOOK_MAX_S),
        warmup_min_s=min(plan.warmup_min_s, _LOOK_MIN_S),
        warmup_cap_s=min(plan.warmup_cap_s, _LOOK_MAX_S),
    )
    raw = measure(anchor, None, quick, clock, progress)
    tick_ms = raw.tick_ms / raw.candidate.inner_count
    rounds = raw.candidate.by_round(plan.statistic)
    return estimate_rounds(rounds, plan.statistic.quantile, plan.level, tick_ms)
