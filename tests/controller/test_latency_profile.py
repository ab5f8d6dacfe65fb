"""The loop of `fleetnas latency profile` on a fleet that answers at once."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from sqlite_utils import Database

from fleetnas_controller.jobs import MeasurementRecord, Selector
from fleetnas_controller.latency_profile import LatencyProfile, ProfileResult
from fleetnas_controller.table_recorder import TableRecorder
from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.measurement import Verdict
from fleetnas_latency.plan import Plan
from fleetnas_latency.table import LatencyTable
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import UnavailableError

from .conftest import AnsweringFleet, TextFiles


class DisturbedFleet(AnsweringFleet):
    """Whatever it measures, something else ran on the device."""

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]:
        found = super().wait_any(names, timeout_s)
        return tuple(
            replace(one, result=one.result and replace(one.result, verdict=Verdict.CONTENDED))
            for one in found
        )


def _profiled(space: SearchSpace, fleet: AnsweringFleet) -> ProfileResult:
    table = LatencyTable(Database(memory=True))
    sample = [space.canonical(space.sample(Random(seed))) for seed in range(20)]
    profile = LatencyProfile(
        space,
        run="one",
        fleet=fleet,
        files=TextFiles(space),
        plan=Plan(),
        device="bench",
        request_selector=Selector(device="bench"),
        model_of=lambda target: few_shot_model(table, target, space, sample),
        observer=TableRecorder(table, space, "one", lambda: 1.0),
        rng=Random(0),
        begin_time=0.0,
    )
    return profile.run(4, 0.0, lambda step: None)


def test_every_good_measurement_is_learned_from(tiny_space: SearchSpace) -> None:
    found = _profiled(tiny_space, AnsweringFleet(tiny_space, {"bench": 1.0}))
    assert found.last.measured_count == 4
    assert found.faults == {}


def test_device_that_never_measures_well_is_said_with_its_verdicts(tiny_space: SearchSpace) -> None:
    with pytest.raises(UnavailableError, match=r"good enough to learn from \(verdicts: \d+ contended\)"):
        _profiled(tiny_space, DisturbedFleet(tiny_space, {"bench": 1.0}))
