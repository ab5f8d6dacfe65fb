"""Errors and dataclasses over the wire."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_controller.jobs import (
    Artifact,
    Device,
    DeviceState,
    Fault,
    FaultKind,
    JoinToken,
    Limits,
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_controller.wire import error_of_status, pack, record_from_pb, status_of_error, to_pb, unpack
from fleetnas_latency.measurement import Measurement, Plan
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target
from fleetnas_protos.v1 import measurement_pb2
from fleetnas_search_spaces import errors

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, 2**31 - 1)
MILLIS = st.integers(0, 10**10).map(lambda millis: millis / 1000)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda labels: tuple(sorted(labels.items())))
TARGETS = st.builds(Target, TEXT, TEXT, TEXT, COUNT, TEXT, statistic=TEXT, stand_in=TEXT)
PLANS = st.builds(Plan, statistic=st.sampled_from(Statistic), anchor_share=st.floats(0.0, 0.9))
FILES = st.builds(ModelFile, TEXT, TEXT, st.integers(0, 2**62))
REQUESTS = st.builds(
    MeasurementRequest,
    TEXT,
    st.lists(FILES, max_size=3).map(tuple),
    TEXT,
    TEXT,
    PLANS,
    st.builds(Selector, TEXT, TEXT, TEXT, TEXT, LABELS, st.booleans()),
    st.integers(-1000, 1000),
    st.builds(Limits, MILLIS, MILLIS, MILLIS),
    LABELS,
    st.lists(TEXT, max_size=2).map(tuple),
    st.booleans(),
)
FAULTS = st.builds(Fault, st.sampled_from(FaultKind), TEXT)
RECORDS = st.builds(
    MeasurementRecord,
    TEXT,
    REQUESTS,
    st.sampled_from(MeasurementState),
    MILLIS,
    MILLIS,
    COUNT,
    COUNT,
    COUNT,
    TEXT,
    st.integers(0, 2**62),
    target=st.none() | TARGETS,
    fault=st.none() | FAULTS,
)
DEVICES = st.builds(
    Device,
    TEXT,
    TEXT,
    TEXT,
    st.lists(TARGETS, max_size=2).map(tuple),
    st.sampled_from(DeviceState),
    MILLIS,
    LABELS,
    MILLIS,
    TEXT,
    st.booleans(),
    TEXT,
    MILLIS,
    st.integers(0, 2**62),
)
ERRORS = [
    errors.AlreadyExistsError,
    errors.CancelledError,
    errors.DataLossError,
    errors.DeadlineExceededError,
    errors.FailedPreconditionError,
    errors.InfeasibleError,
    errors.InvalidArgumentError,
    errors.NotFoundError,
    errors.PermissionDeniedError,
    errors.ResourceExhaustedError,
    errors.UnavailableError,
]


@given(RECORDS)
def test_measurement_comes_back(record: MeasurementRecord) -> None:
    assert record_from_pb(to_pb(record), MeasurementRecord) == record


@given(DEVICES)
def test_device_comes_back(device: Device) -> None:
    assert unpack(pack(device), Device) == device


def test_result_comes_back_with_every_sample(good: Measurement) -> None:
    assert unpack(pack(good), Measurement) == good


def test_token_and_artifact_come_back() -> None:
    token, artifact = JoinToken("s", "a", 2, 5.5), Artifact("0" * 64, 2**40)
    assert record_from_pb(to_pb(token), JoinToken) == token
    assert record_from_pb(to_pb(artifact), Artifact) == artifact


@pytest.mark.parametrize("kind", ERRORS)
def test_error_comes_back_as_itself(kind: type[errors.FleetNASError]) -> None:
    back = error_of_status(status_of_error(kind("what, which, what now")), "what, which, what now")
    assert type(back) is kind
    assert str(back) == "what, which, what now"


def test_every_error_of_ours_has_a_status_of_its_own() -> None:
    named = {getattr(errors, name) for name in errors.__all__}
    assert named - set(ERRORS) == {errors.FleetNASError, errors.near_names}
    assert len({status_of_error(kind("")) for kind in ERRORS}) == len(ERRORS)


def test_status_of_nobody_of_ours_names_the_log() -> None:
    assert "log says more" in str(error_of_status(grpc.StatusCode.INTERNAL, "boom"))


def test_unspecified_enum_is_an_invalid_argument() -> None:
    with pytest.raises(errors.InvalidArgumentError, match="unusable Measurement: `statistic`"):
        record_from_pb(measurement_pb2.Measurement(name="m"), MeasurementRecord)


@given(st.binary(max_size=60))
def test_damaged_bytes_are_data_loss_or_a_measurement(content: bytes) -> None:
    try:
        assert isinstance(unpack(content, MeasurementRequest), MeasurementRequest)
    except errors.DataLossError as error:
        assert "unreadable" in str(error)  # noqa: PT017 - either outcome is right
