"""From stored observations to a model, and from a model to the table's learned entries."""

__all__ = ["fit", "good_networks", "keys_of_no_network", "learned_entries"]

import math
from collections.abc import Sequence
from statistics import median

from fleetnas_latency.ageing import anchor_drifts, drift_std_ms
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.model import LatencyModel
from fleetnas_latency.operator_text import architecture_of_space, operator_key
from fleetnas_latency.repository import (
    EntrySource,
    LatencyEntry,
    LatencyRepository,
    Observation,
    ObservationKind,
)
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace


def fit(table: LatencyRepository, target: Target, space: SearchSpace) -> LatencyModel:
    """The model of ``space`` on ``target`` after every good network measurement in the table.

    Where a network was measured beside an anchor, its latency is the ratio to the anchor times the median of
    that anchor's latencies over all measurements on the target. A device that was hotter on Tuesday slowed both
    networks alike, the ratio does not show it, and what is left is the latency at the device's usual speed.
    """
    model = LatencyModel(space)
    model.observe(*good_networks(table, target, space))
    return model


def good_networks(
    table: LatencyRepository, target: Target, space: SearchSpace
) -> tuple[list[Architecture], list[float], list[float]]:
    """The networks of ``space`` that were measured well on ``target``, their latencies and these' deviations.

    Latencies are milliseconds at the device's usual speed, as ``fit`` says; those measured while it ran faster or
    slower than it does now deviate more.
    """
    usable = _good_observations(table, target, space)
    # A key that is none of the space, out of a file of others, teaches nothing; it must not end every prediction.
    named = {
        key: found
        for key in {one.key for one in usable}
        if (found := architecture_of_space(key, space)) is not None
    }
    usable = [one for one in usable if one.key in named]
    usual_ms = _usual_anchor_ms(usable)
    drifts = anchor_drifts(usable)
    values = [_latency_ms(one, usual_ms, drifts.get(one.measurement_id, 0.0)) for one in usable]
    architectures = [named[one.key] for one in usable]
    return architectures, [value for value, _ in values], [std for _, std in values]


def keys_of_no_network(table: LatencyRepository, target: Target, space: SearchSpace) -> tuple[str, ...]:
    """Keys under which good measurements are kept that ``good_networks`` leaves out, sorted: no network of ``space``
    has them.
    """
    keys = {one.key for one in _good_observations(table, target, space)}
    return tuple(sorted(key for key in keys if architecture_of_space(key, space) is None))


def learned_entries(model: LatencyModel, now: float) -> tuple[LatencyEntry, ...]:
    """What ``model`` knows of each block, to be stored with ``LatencyRepository.put_entries``.

    Args:
        now: Seconds since 1970.

    Raises:
        FailedPreconditionError: The model has observed nothing.
    """
    return tuple(
        LatencyEntry(
            key="overhead" if one.operator is None else operator_key(one.operator),
            mean_ms=one.mean_ms,
            std_ms=one.std_ms,
            source=EntrySource(one.source),
            count=one.network_count,
            updated_time=now,
            space=model.space_name,
            operator=one.operator,
        )
        for one in model.coverage()
    )


def _good_observations(table: LatencyRepository, target: Target, space: SearchSpace) -> list[Observation]:
    return [
        one
        for one in table.observations(target, space.name)
        if one.kind is ObservationKind.NETWORK and one.verdict is Verdict.OK
    ]


def _usual_anchor_ms(observations: Sequence[Observation]) -> dict[str, float]:
    seen: dict[str, list[float]] = {}
    for one in observations:
        if one.ratio is not None and one.anchor_ms > 0.0:
            seen.setdefault(one.anchor_key, []).append(one.anchor_ms)
    return {key: median(values) for key, values in seen.items()}


def _latency_ms(observation: Observation, usual_ms: dict[str, float], drift: float) -> tuple[float, float]:
    """Value and standard deviation."""
    if observation.ratio is None or observation.anchor_ms <= 0.0:
        return observation.latency.value, observation.latency.std
    anchor_ms = usual_ms[observation.anchor_key]
    value_ms = observation.ratio.value * anchor_ms
    return value_ms, math.hypot(observation.ratio.std * anchor_ms, drift_std_ms(value_ms, drift))
