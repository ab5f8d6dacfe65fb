"""What every store of latencies has to keep."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from fleetnas_latency.judgement import Verdict
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.repository import (
    EntrySource,
    LatencyEntry,
    LatencyRepository,
    Observation,
    ObservationKind,
)
from fleetnas_latency.statistics import Estimate
from fleetnas_latency.table import LatencyTable, open_table
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import AlreadyExistsError, NotFoundError
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

TARGET = Target("rk3288", "ncnn", "1.0")
OTHER = Target("pixel", "ncnn", "1.0")
CONV = Operator(
    OperatorKind.CONV, 3, 32, 32, kernel_px=3, padding_px=1, activation=Activation.RELU6, bias=True
)


def _observation(name: str, **changes: object) -> Observation:
    plain = Observation(
        measurement_id=name,
        target=TARGET,
        kind=ObservationKind.NETWORK,
        key="toy/32/0,1",
        latency=Estimate(10.0, 9.9, 10.1),
        verdict=Verdict.OK,
        created_time=100.0,
        space="toy",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def _entry(key: str, mean_ms: float, std_ms: float = 0.1) -> LatencyEntry:
    return LatencyEntry(key, mean_ms, std_ms, EntrySource.LEARNED, 3, 50.0, "toy", CONV)


@pytest.fixture(params=["sqlite file", "sqlite memory"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LatencyRepository]:
    file = request.param == "sqlite file"
    table = open_table(tmp_path / "latency.db") if file else LatencyTable(Database(memory=True))
    yield table
    table.close()


def test_observation_comes_back_as_it_was(repository: LatencyRepository) -> None:
    full = _observation(
        "m1",
        kind=ObservationKind.OPERATOR,
        operator=CONV,
        key=operator_key(CONV),
        ratio=Estimate(2.0, 1.9, 2.1, 0.9),
        anchor_key="toy/32/0,0",
        anchor_ms=5.0,
        verdict=Verdict.CONTENDED,
        source=EntrySource.IMPORTED,
        agent="bench-1",
        model_sha256="ab" * 32,
    )
    repository.put_observations([full])
    assert repository.observations(TARGET) == (full,)


def test_same_observation_twice_counts_once(repository: LatencyRepository) -> None:
    assert repository.put_observations([_observation("m1")]) == 1
    assert repository.put_observations([_observation("m1"), _observation("m2")]) == 1
    assert len(repository.observations(TARGET)) == 2


def test_another_observation_under_a_taken_id_is_refused_and_nothing_is_stored(
    repository: LatencyRepository,
) -> None:
    repository.put_observations([_observation("m1")])
    with pytest.raises(AlreadyExistsError, match="m1"):
        repository.put_observations([_observation("m2"), _observation("m1", created_time=101.0)])
    assert [one.measurement_id for one in repository.observations(TARGET)] == ["m1"]


def test_observations_are_ordered_by_time_and_filtered_by_space(repository: LatencyRepository) -> None:
    late, early = _observation("late", created_time=9.0), _observation("early", created_time=1.0)
    foreign = _observation("foreign", space="other")
    repository.put_observations([late, foreign, early])
    assert repository.observations(TARGET, "toy") == (early, late)


def test_targets_never_mix(repository: LatencyRepository) -> None:
    repository.put_observations([_observation("m1"), _observation("m2", target=OTHER)])
    assert [one.measurement_id for one in repository.observations(OTHER)] == ["m2"]
    assert repository.targets() == (OTHER, TARGET)


def test_query_averages_good_observations_by_precision(repository: LatencyRepository) -> None:
    precise, vague = Estimate(10.0, 9.9, 10.1), Estimate(10.3, 9.3, 11.3)
    repository.put_observations([_observation("m1", latency=precise), _observation("m2", latency=vague)])
    found = repository.query(TARGET, "toy/32/0,1")
    assert found.mean_ms == pytest.approx((100 * 10.0 + 10.3) / 101)
    assert found.std_ms < precise.std
    assert (found.source, found.count) == (EntrySource.MEASURED, 2)


def test_query_admits_that_observations_disagree(repository: LatencyRepository) -> None:
    repository.put_observations([_observation("m1"), _observation("m2", latency=Estimate(12.0, 11.9, 12.1))])
    assert repository.query(TARGET, "toy/32/0,1").std_ms == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("verdict", [one for one in Verdict if one is not Verdict.OK])
def test_observation_that_is_not_ok_is_kept_but_answers_no_query(
    repository: LatencyRepository, verdict: Verdict
) -> None:
    repository.put_observations([_observation("m1", verdict=verdict)])
    assert len(repository.observations(TARGET)) == 1
    with pytest.raises(NotFoundError):
        repository.query(TARGET, "toy/32/0,1")


def test_query_falls_back_to_what_was_learned(repository: LatencyRepository) -> None:
    repository.put_entries(TARGET, "toy", [_entry(operator_key(CONV), 1.5)])
    found = repository.query(TARGET, operator_key(CONV))
    assert found == _entry(operator_key(CONV), 1.5)


def test_later_entries_replace_earlier_ones_of_that_space_only(repository: LatencyRepository) -> None:
    repository.put_entries(TARGET, "toy", [_entry("a", 1.0), _entry("b", 2.0)])
    repository.put_entries(TARGET, "other", [replace(_entry("a", 3.0), space="other")])
    repository.put_entries(TARGET, "toy", [_entry("b", 4.0)])
    assert [one.mean_ms for one in repository.coverage(TARGET, "toy")] == [4.0]
    assert [one.mean_ms for one in repository.coverage(TARGET, "other")] == [3.0]


def test_unknown_key_is_reported_with_count_near_name_and_cure(repository: LatencyRepository) -> None:
    repository.put_observations([_observation("m1")])
    with pytest.raises(NotFoundError, match=r"'toy/32/0,2'.*1 other.*'toy/32/0,1'.*fleetnas latency profile"):
        repository.query(TARGET, "toy/32/0,2")


def test_unknown_target_is_reported_with_the_known_ones(repository: LatencyRepository) -> None:
    repository.put_observations([_observation("m1")])
    with pytest.raises(NotFoundError, match="rk3288"):
        repository.query(OTHER, "toy/32/0,1")
