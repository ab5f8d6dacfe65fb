"""Whether a device can be believed: what each check of its anchor means, and what follows from all of them.

Pure: no clock, no store, no fleet. ``health_monitor`` asks for the checks.
"""

__all__ = [
    "Baseline",
    "CheckOutcome",
    "CheckTrigger",
    "HealthCheck",
    "HealthSettings",
    "Standing",
    "judge_check",
]

from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from fleetnas_controller.jobs import MeasurementRecord, MeasurementState
from fleetnas_latency.digest import digests_agree
from fleetnas_latency.measurement import Measurement, Verdict
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target


class CheckTrigger(StrEnum):
    """Why the anchor was measured.

    ENROLMENT: there is no baseline yet. INTERVAL: it was time. REQUEST: an operator asked. REPEAT: the check
    before was in doubt or failed. SUSPICION: measurements on the device ended badly, one after the other.
    RELEASE: nothing was measured, an operator released the device.
    """

    ENROLMENT = "enrolment"
    INTERVAL = "interval"
    REQUEST = "request"
    REPEAT = "repeat"
    SUSPICION = "suspicion"
    RELEASE = "release"


class CheckOutcome(StrEnum):
    """What a check means.

    PASSED: as ever. DOUBTFUL: too far off; the device cools down and is checked again. STRIKE: still off after
    every repeat, or wrong in a way that no rest mends. ABANDONED: nothing was learnt. RELEASED: an operator's word.
    """

    PASSED = "passed"
    DOUBTFUL = "doubtful"
    STRIKE = "strike"
    ABANDONED = "abandoned"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When devices are checked and what they are forgiven.

    Attributes:
        automatic: Whether checks are made unasked. If not, only those that an operator asks for, and their
            repeats.
        interval_s: Between two checks of a device in good standing, and of one in quarantine.
        cool_down_s: Rest of a device in doubt before it is checked again.
        repeat_limit: Rests before a doubt becomes a strike.
        strike_retry_s: From a strike to the next check.
        strike_limit: Strikes without a passed check in between that put a device into quarantine.
        drift_limit: Relative change of the anchor against the device's own baseline.
        baseline_count: Passed checks that make the baseline: the first ones, so that a device which slows down
            little by little is caught too.
        agreement_limit: Least Kendall tau between the halves of the device's recent measurements.
        suspicion_count: Bad ends of ordinary measurements in a row that ask for a check.
    """

    automatic: bool = True
    interval_s: float = 1_800.0
    cool_down_s: float = 60.0
    repeat_limit: int = 3
    strike_retry_s: float = 300.0
    strike_limit: int = 2
    drift_limit: float = 0.03
    baseline_count: int = 5
    agreement_limit: float = 0.8
    suspicion_count: int = 3


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One line of a device's history.

    Attributes:
        device: ``devices/{device_id}``.
        number: From 1, without gaps.
        measurement: Of the anchor; empty for a release.
        check_time: When it was judged, seconds since 1970.
        target: Key of what was measured; empty when nothing was.
        anchor: The anchor's latency, milliseconds.
        drift: Against the baseline, relative; 0 without one.
        agreement: Kendall tau of split halves; None without enough data.
        digest: Of the anchor's output; empty where the runtime shows none.
    """

    device: str
    number: int
    trigger: CheckTrigger
    outcome: CheckOutcome
    reason: str
    check_time: float
    measurement: str = ""
    target: str = ""
    anchor: Estimate | None = None
    drift: float = 0.0
    agreement: float | None = None
    digest: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The anchor's latencies in the first passed checks on one target, milliseconds, and its output."""

    target: str
    values_ms: tuple[float, ...]
    digest: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What all checks of a device together say.

    Attributes:
        check_count: Number of the latest check; 0 before the first.
        last_time: When that was judged.
        last_outcome: Of that; None before the first.
        repeat_count: Doubtful checks in a row.
        strike_count: Strikes since the last passed check.
        reason: Of the first of these strikes.
        doubt: Why the device cools down; empty when it does not.
    """

    device: str
    check_count: int = 0
    last_time: float = 0.0
    last_outcome: CheckOutcome | None = None
    repeat_count: int = 0
    strike_count: int = 0
    quarantined: bool = False
    reason: str = ""
    doubt: str = ""
    baselines: tuple[Baseline, ...] = field(default_factory=tuple)

    def baseline(self, target: str) -> Baseline | None:
        return next((one for one in self.baselines if one.target == target), None)

    @property
    def cooling(self) -> bool:
        """Whether the device rests before its check is repeated."""
        return self.repeat_count > 0 and not self.quarantined

    def due(self, settings: HealthSettings) -> tuple[float, CheckTrigger]:
        """When the next check is due, seconds since 1970, and what it is then called."""
        if self.last_outcome is None:
            return 0.0, CheckTrigger.ENROLMENT
        if self.last_outcome is CheckOutcome.ABANDONED:
            return self.last_time + settings.strike_retry_s, CheckTrigger.REPEAT
        if self.repeat_count:
            return self.last_time + settings.cool_down_s, CheckTrigger.REPEAT
        if self.strike_count and not self.quarantined:
            return self.last_time + settings.strike_retry_s, CheckTrigger.REPEAT
        if not self.baselines and not self.quarantined:
            return self.last_time, CheckTrigger.ENROLMENT
        return self.last_time + settings.interval_s, CheckTrigger.INTERVAL

    def after(self, check: HealthCheck, settings: HealthSettings) -> "Standing":
        """The standing once ``check`` is known."""
        seen = replace(self, check_count=check.number, last_time=check.check_time, last_outcome=check.outcome)
        match check.outcome:
            case CheckOutcome.ABANDONED:
                return seen
            case CheckOutcome.DOUBTFUL:
                return replace(seen, repeat_count=self.repeat_count + 1, doubt=check.reason)
            case CheckOutcome.STRIKE:
                strike_count = self.strike_count + 1
                return replace(
                    seen,
                    repeat_count=0,
                    doubt="",
                    strike_count=strike_count,
                    quarantined=self.quarantined or strike_count >= settings.strike_limit,
                    reason=self.reason or check.reason,
                )
            case CheckOutcome.RELEASED:
                # The operator vouches for the device as it is now, so what it was before is no measure any more.
                return Standing(self.device, check.number, check.check_time, check.outcome)
        clean = replace(seen, repeat_count=0, strike_count=0, quarantined=False, reason="", doubt="")
        return replace(clean, baselines=self._with(check, settings.baseline_count))

    def _with(self, check: HealthCheck, count: int) -> tuple[Baseline, ...]:
        if check.anchor is None:
            return self.baselines
        known = self.baseline(check.target) or Baseline(check.target, (), check.digest)
        if len(known.values_ms) >= count:
            return self.baselines
        others = tuple(one for one in self.baselines if one.target != check.target)
        return (*others, replace(known, values_ms=(*known.values_ms, check.anchor.value)))


def judge_check(
    standing: Standing,
    record: MeasurementRecord,
    trigger: CheckTrigger,
    now: float,
    settings: HealthSettings,
    agreement: float | None = None,
) -> HealthCheck:
    """What the finished measurement ``record`` of the anchor means for a device of that standing.

    Args:
        now: Seconds since 1970.
        agreement: Kendall tau of the halves of recent measurements; None when there are too few.
    """
    check = HealthCheck(
        standing.device,
        standing.check_count + 1,
        trigger,
        CheckOutcome.PASSED,
        "",
        now,
        record.name,
        agreement=agreement,
    )
    if record.result is None:
        return _unmeasured(check, record)
    check = _with_reading(check, record.result, record.target, standing)
    grave = _grave(record.result, check, standing, settings)
    if grave:
        return replace(check, outcome=CheckOutcome.STRIKE, reason=grave)
    doubt = _doubt(record.result, check, standing, settings)
    if not doubt:
        return check
    if standing.repeat_count < settings.repeat_limit:
        return replace(check, outcome=CheckOutcome.DOUBTFUL, reason=doubt)
    reason = f"{doubt}, after {standing.repeat_count} rests of {settings.cool_down_s:g} s"
    return replace(check, outcome=CheckOutcome.STRIKE, reason=reason)


def _unmeasured(check: HealthCheck, record: MeasurementRecord) -> HealthCheck:
    why = record.fault.message if record.fault else f"the measurement was {record.state}"
    # Never begun or cancelled: that says nothing about the device.
    if record.state is MeasurementState.CANCELLED or record.attempt_count == 0:
        return replace(check, outcome=CheckOutcome.ABANDONED, reason=why)
    return replace(
        check, outcome=CheckOutcome.STRIKE, reason=f"the anchor network could not be measured: {why}"
    )


def _with_reading(
    check: HealthCheck, result: Measurement, target: Target | None, standing: Standing
) -> HealthCheck:
    key = target.key if target else ""
    baseline = standing.baseline(key)
    drift = result.estimate.value / median(baseline.values_ms) - 1.0 if baseline else 0.0
    return replace(check, target=key, anchor=result.estimate, drift=drift, digest=result.digest)


def _grave(result: Measurement, check: HealthCheck, standing: Standing, settings: HealthSettings) -> str:
    """What no rest mends; empty when nothing is."""
    if result.verdict is Verdict.WRONG_OUTPUT:
        return f"the anchor network's output is wrong: {result.reason}"
    baseline = standing.baseline(check.target)
    reference = baseline.digest if baseline else ()
    if reference and check.digest and not digests_agree(check.digest, reference, 1e-3):
        return "the anchor network's output is not what it was in the first check"
    if check.agreement is not None and check.agreement < settings.agreement_limit:
        return (
            f"recent measurements disagree with themselves: Kendall tau {check.agreement:.2f} between their "
            f"halves, {settings.agreement_limit:g} is the least"
        )
    return ""


def _doubt(result: Measurement, check: HealthCheck, standing: Standing, settings: HealthSettings) -> str:
    """What may pass by itself; empty when nothing is."""
    # An interval too wide for a table may still be narrow enough to tell whether the device has changed.
    narrow = result.estimate.relative_half_width <= settings.drift_limit
    if result.verdict is not Verdict.OK and not (result.verdict is Verdict.NOT_CONVERGED and narrow):
        return f"the anchor network was measured with the verdict {result.verdict}: {result.reason}"
    baseline = standing.baseline(check.target)
    if baseline is None:
        return ""
    usual_ms = median(baseline.values_ms)
    # As within a measurement: a wide interval around the usual value alone convicts nobody.
    apart = not result.estimate.low <= usual_ms <= result.estimate.high
    if not apart or abs(check.drift) <= settings.drift_limit:
        return ""
    return (
        f"the anchor network took {result.estimate.value:.4g} ms, {check.drift:+.1%} against its usual "
        f"{usual_ms:.4g} ms (limit {settings.drift_limit:.0%})"
    )
