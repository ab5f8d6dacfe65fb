"""What health checks mean, without a fleet."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.agreement import Halves, halves_of, self_agreement
from fleetnas_controller.anchor import anchor_model
from fleetnas_controller.health import (
    CheckOutcome,
    CheckTrigger,
    HealthSettings,
    Standing,
    judge_check,
)
from fleetnas_controller.jobs import (
    Fault,
    FaultKind,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
)
from fleetnas_latency.measurement import Measurement, Verdict
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.target import Target

SETTINGS = HealthSettings(repeat_limit=2)
TARGET = Target("board", "onnxruntime", "1.0")
REQUEST = MeasurementRequest("health-1", (ModelFile("anchor.onnx", "0" * 64, 3),), "anchor.onnx")


class Device:
    """Plays checks one after the other; each takes a minute."""

    def __init__(self, good: Measurement) -> None:
        self._good = good
        self.standing = Standing("devices/a")
        self.now = 1_000.0

    def measures(
        self, value_ms: float, *, target: Target = TARGET, agreement: float | None = None, **fields: Any
    ) -> Any:
        estimate = Estimate(value_ms, value_ms * 0.999, value_ms * 1.001)
        result = replace(self._good, **{"estimate": estimate, **fields})
        return self.ends(MeasurementState.DONE, result=result, target=target, agreement=agreement)

    def ends(self, state: MeasurementState, *, agreement: float | None = None, **fields: Any) -> Any:
        record = MeasurementRecord(
            "measurements/h", REQUEST, state, 0.0, 0.0, **{"attempt_count": 1, **fields}
        )
        self.now += 60.0
        check = judge_check(self.standing, record, CheckTrigger.INTERVAL, self.now, SETTINGS, agreement)
        self.standing = self.standing.after(check, SETTINGS)
        return check


@pytest.fixture
def device(good: Measurement) -> Device:
    return Device(good)


def outcomes(device: Device, *values_ms: float) -> list[CheckOutcome]:
    return [device.measures(one).outcome for one in values_ms]


P, D, S = CheckOutcome.PASSED, CheckOutcome.DOUBTFUL, CheckOutcome.STRIKE


def test_first_check_is_the_measure_of_the_others(device: Device) -> None:
    assert outcomes(device, 2.0, 2.05, 2.0) == [P, P, P]
    assert device.standing.baselines[0].values_ms == (2.0, 2.05, 2.0)


@pytest.mark.parametrize("value_ms", [2.1, 1.9])
def test_drift_either_way_is_first_a_doubt(device: Device, value_ms: float) -> None:
    assert outcomes(device, 2.0, value_ms) == [P, D]
    assert device.standing.cooling
    assert device.standing.due(SETTINGS) == (device.now + SETTINGS.cool_down_s, CheckTrigger.REPEAT)


def test_wide_interval_around_the_usual_value_convicts_nobody(device: Device) -> None:
    device.measures(2.0)
    assert device.measures(2.1, estimate=Estimate(2.1, 1.9, 2.3)).outcome is P


def test_device_that_cooled_down_is_in_good_standing_again(device: Device) -> None:
    assert outcomes(device, 2.0, 2.2, 2.0) == [P, D, P]
    assert not device.standing.cooling
    assert device.standing.strike_count == 0


def test_drift_after_every_rest_is_a_strike_and_two_are_a_quarantine(device: Device) -> None:
    assert outcomes(device, 2.0, 2.2, 2.2, 2.2) == [P, D, D, S]
    assert not device.standing.quarantined
    assert device.standing.due(SETTINGS) == (device.now + SETTINGS.strike_retry_s, CheckTrigger.REPEAT)
    assert outcomes(device, 2.4, 2.4, 2.4) == [D, D, S]
    assert device.standing.quarantined


def test_quarantine_keeps_the_first_reason(device: Device) -> None:
    outcomes(device, 2.0, 2.2, 2.2, 2.2, 2.4, 2.4, 2.4)
    assert "+10.0%" in device.standing.reason
    assert "after 2 rests of 60 s" in device.standing.reason


def test_passed_check_between_two_strikes_forgives_the_first(device: Device) -> None:
    outcomes(device, 2.0, 2.2, 2.2, 2.2, 2.0, 2.2, 2.2, 2.2)
    assert device.standing.strike_count == 1
    assert not device.standing.quarantined


def test_passed_check_ends_a_quarantine(device: Device) -> None:
    outcomes(device, 2.0, 2.2, 2.2, 2.2, 2.2, 2.2, 2.2)
    assert device.standing.quarantined
    assert outcomes(device, 2.01) == [P]
    assert (device.standing.quarantined, device.standing.reason) == (False, "")


def test_slow_decay_is_caught_though_each_step_is_small(device: Device) -> None:
    assert D in outcomes(device, *[2.0 * 1.004**step for step in range(16)])


def test_another_runtime_version_has_a_baseline_of_its_own(device: Device) -> None:
    device.measures(2.0)
    assert device.measures(3.0, target=replace(TARGET, runtime_version="2.0")).outcome is P
    assert device.measures(2.0).outcome is P


@pytest.mark.parametrize("verdict", [Verdict.THROTTLED, Verdict.CONTENDED, Verdict.NOT_CONVERGED])
def test_verdict_that_may_pass_is_a_doubt(device: Device, verdict: Verdict) -> None:
    wide = Estimate(2.0, 1.9, 2.1)
    check = device.measures(2.0, verdict=verdict, reason="it is hot", estimate=wide)
    assert check.outcome is D
    assert f"{verdict}: it is hot" in check.reason


def test_interval_that_is_narrow_enough_to_see_a_drift_will_do(device: Device) -> None:
    assert (
        device.measures(2.0, verdict=Verdict.NOT_CONVERGED, estimate=Estimate(2.0, 1.95, 2.05)).outcome is P
    )


def test_wrong_output_is_a_strike_at_once(device: Device) -> None:
    assert device.measures(2.0, verdict=Verdict.WRONG_OUTPUT).outcome is S


def test_output_that_changed_is_a_strike_at_once(device: Device) -> None:
    digest = (10.0, 1.0, 5.0, 2.0, 0.5)
    device.measures(2.0, digest=digest)
    assert device.measures(2.0, digest=(10.0, 1.0, 5.0, 2.0, 0.50001)).outcome is P
    check = device.measures(2.0, digest=(10.0, 1.0, 5.0, 2.0, 0.6))
    assert (check.outcome, "output is not what it was" in check.reason) == (S, True)


def test_device_that_contradicts_itself_gets_a_strike(device: Device) -> None:
    assert device.measures(2.0, agreement=0.81).outcome is P
    check = device.measures(2.0, agreement=0.5)
    assert (check.outcome, "0.50" in check.reason) == (S, True)


def test_anchor_that_cannot_be_measured_is_a_strike(device: Device) -> None:
    check = device.ends(MeasurementState.FAILED, fault=Fault(FaultKind.MODEL, "unknown operator Conv"))
    assert (check.outcome, check.reason) == (
        S,
        "the anchor network could not be measured: unknown operator Conv",
    )


def test_check_that_never_began_says_nothing(device: Device) -> None:
    device.measures(2.0)
    fault = Fault(FaultKind.INFRASTRUCTURE, "no device free")
    assert (
        device.ends(MeasurementState.FAILED, attempt_count=0, fault=fault).outcome is CheckOutcome.ABANDONED
    )
    assert device.ends(MeasurementState.CANCELLED).outcome is CheckOutcome.ABANDONED
    assert device.standing.strike_count == 0
    assert device.standing.due(SETTINGS)[0] == device.now + SETTINGS.strike_retry_s


def test_good_device_is_checked_at_intervals(device: Device) -> None:
    assert device.standing.due(SETTINGS) == (0.0, CheckTrigger.ENROLMENT)
    device.measures(2.0)
    assert device.standing.due(SETTINGS) == (device.now + SETTINGS.interval_s, CheckTrigger.INTERVAL)


def test_anchor_is_the_same_network_everywhere() -> None:
    # Another network under the same key would break every baseline that is stored out there.
    digest = hashlib.sha256(anchor_model()).hexdigest()
    assert digest == "58bcf36e22159d401ea1ce79c84344caf16d4b31d94058c25f7f5092044f6893"


def networks(*pairs: tuple[float, float]) -> list[Halves]:
    return [Halves(str(index), even, odd) for index, (even, odd) in enumerate(pairs)]


def test_halves_that_rank_alike_agree() -> None:
    assert self_agreement(networks(*[(1.0 + i, 1.1 + i) for i in range(6)]), 0.03) == 1.0


def test_halves_that_rank_the_other_way_round_disagree() -> None:
    assert self_agreement(networks(*[(1.0 + i, 9.0 - 0.5 * i) for i in range(6)]), 0.03) == -1.0


def test_too_few_networks_say_nothing() -> None:
    assert self_agreement(networks((1.0, 1.0), (2.0, 2.0), (3.0, 3.0)), 0.03) is None


def test_networks_that_no_device_can_tell_apart_do_not_count() -> None:
    assert self_agreement(networks(*[(1.0 + 1e-4 * i, 1.0 - 1e-4 * i) for i in range(8)]), 0.03) is None


def test_halves_are_the_even_and_the_odd_rounds(good: Measurement) -> None:
    runs = tuple(1.0 if index % 2 else 2.0 for index in range(8))
    candidate = replace(good.raw.candidate, wall_ms=runs, cpu_ms=runs, rounds=tuple(range(8)))
    result = replace(good, raw=replace(good.raw, candidate=candidate))
    assert halves_of("n", result) == Halves("n", 2.0, 1.0)


def test_one_round_has_no_halves(good: Measurement) -> None:
    candidate = replace(good.raw.candidate, rounds=(0,) * len(good.raw.candidate.wall_ms))
    assert halves_of("n", replace(good, raw=replace(good.raw, candidate=candidate))) is None
