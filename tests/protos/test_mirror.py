"""A dataclass as a message, and back."""

from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_protos.mirror import from_message, to_message
from fleetnas_protos.v1 import device_pb2, measurement_pb2, target_pb2

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class Precision(StrEnum):
    FP32 = "fp32"
    INT8 = "int8"


@dataclass(frozen=True)
class Target:
    device_model: str
    thread_count: int
    precision: Precision


@dataclass(frozen=True)
class Selector:
    model: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Limits:
    device_s: float
    silence_s: float


@dataclass(frozen=True)
class Device:
    name: str
    targets: tuple[Target, ...]
    seen_time: float = 0.0


@dataclass(frozen=True)
class Record:
    name: str
    target: Target | None


@dataclass(frozen=True)
class Misspelt:
    nmae: str = ""


TARGETS = st.builds(Target, TEXT, st.integers(0, 2**31 - 1), st.sampled_from(Precision))


@given(st.builds(Device, TEXT, st.lists(TARGETS, max_size=3).map(tuple)))
def test_nested_dataclasses_come_back(device: Device) -> None:
    assert from_message(to_message(device, device_pb2.Device), Device) == device


@given(TEXT, st.dictionaries(TEXT, TEXT, max_size=4))
def test_labels_come_back_in_order_of_their_keys(model: str, labels: dict[str, str]) -> None:
    selector = Selector(model, tuple(sorted(labels.items())))
    assert from_message(to_message(selector, measurement_pb2.Selector), Selector) == selector


@given(st.integers(-(10**6), 10**9), st.integers(0, 10**9))
def test_milliseconds_of_spans_come_back_exactly(device_ms: int, silence_ms: int) -> None:
    limits = Limits(device_ms / 1000, silence_ms / 1000)
    assert from_message(to_message(limits, measurement_pb2.Limits), Limits) == limits


@given(st.integers(0, 4 * 10**9), st.integers(0, 999_999))
def test_microseconds_of_times_come_back(seconds: int, micros: int) -> None:
    device = Device("devices/a", (), seconds + micros / 1e6)
    back = from_message(to_message(device, device_pb2.Device), Device)
    assert back.seen_time == pytest.approx(device.seen_time, abs=1e-6)


def test_none_is_an_absent_field() -> None:
    message = to_message(Record("a", None), measurement_pb2.Measurement)
    assert not message.HasField("target")
    assert from_message(message, Record).target is None


def test_unspecified_enum_value_is_refused() -> None:
    with pytest.raises(ValueError, match="precision"):
        from_message(target_pb2.Target(device_model="a"), Target)


def test_enum_value_unknown_here_is_refused() -> None:
    with pytest.raises(ValueError, match="99"):
        from_message(target_pb2.Target(precision=99), Target)  # type: ignore[arg-type]


def test_field_that_the_message_lacks_is_named() -> None:
    with pytest.raises(AttributeError, match="nmae"):
        to_message(Misspelt(), device_pb2.Device)
