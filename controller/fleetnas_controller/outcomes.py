"""Stored trials as strategies are told them."""

__all__ = ["outcome_of", "scaled_readings"]

from collections.abc import Mapping

from fleetnas_controller.strategies.strategy import Outcome, Reading
from fleetnas_controller.trials import Trial, TrialState
from fleetnas_latency.judgement import Verdict
from fleetnas_search_spaces.architecture import SearchSpace


def outcome_of(space: SearchSpace, trial: Trial, latencies: Mapping[str, Reading]) -> Outcome:
    """The trial with these latencies, e.g. its own ``scaled_readings``; with its accuracy only if it is FINISHED."""
    return Outcome(
        trial.number,
        space.parse(trial.architecture),
        trial.accuracy if trial.state is TrialState.FINISHED else None,
        latencies,
        macs=trial.macs,
        params=trial.params,
        model_bytes=trial.model_bytes,
        memory_bytes=trial.memory_bytes,
    )


def scaled_readings(trial: Trial, reference_ms: Mapping[str, float]) -> dict[str, Reading]:
    """A trial's good latencies by device, on the scale of the reference's first measurement.

    The ratio to the reference measured in the same rounds survives drift of the device; milliseconds alone
    moved by 1.5 to 8 % between a busy and a quiet machine.
    """
    readings = {}
    for device, reading in trial.readings.items():
        if reading.verdict != Verdict.OK or reading.latency_ms is None:
            continue
        scale = reference_ms.get(device)
        if reading.ratio is not None and scale is not None:
            readings[device] = Reading(reading.ratio.value * scale, reading.ratio.std * scale)
        else:
            readings[device] = Reading(reading.latency_ms.value, reading.latency_ms.std)
    return readings
