"""Whatever a client sends to the health, search and latency services, it gets an answer or a typed error."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck as Check
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetnas_controller.enrolment import digest_of
from fleetnas_controller.grants import GrantBook
from fleetnas_controller.health import HealthSettings
from fleetnas_controller.health_monitor import HealthMonitor
from fleetnas_controller.health_store import SqliteHealthStore
from fleetnas_controller.latency_answers import LatencyBook
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_store import SqliteSearchStore
from fleetnas_controller.searches import SearchBook
from fleetnas_controller.servicers.calls import Access
from fleetnas_controller.servicers.device_servicer import DeviceServicer
from fleetnas_controller.servicers.latency_servicer import LatencyServicer
from fleetnas_controller.servicers.search_servicer import SearchServicer
from fleetnas_protos.v1 import device_pb2, latency_pb2, search_pb2

World = Any

NAMES = st.one_of(
    st.sampled_from(["s", "searches/s", "a", "devices/a", "", "devices/", "../x", "a" * 130, "\0"]),
    st.text(max_size=20),
)
REQUESTS: list[tuple[str, type[Message]]] = [
    ("ListDeviceQueue", device_pb2.ListDeviceQueueRequest),
    ("CheckDevice", device_pb2.CheckDeviceRequest),
    ("ReleaseDevice", device_pb2.ReleaseDeviceRequest),
    ("ListHealthChecks", device_pb2.ListHealthChecksRequest),
    ("CreateSearch", search_pb2.CreateSearchRequest),
    ("GetSearch", search_pb2.GetSearchRequest),
    ("ListSearches", search_pb2.ListSearchesRequest),
    ("CancelSearch", search_pb2.CancelSearchRequest),
    ("ListTrials", search_pb2.ListTrialsRequest),
    ("Propose", search_pb2.ProposeRequest),
    ("Tell", search_pb2.TellRequest),
    ("ListTargets", latency_pb2.ListTargetsRequest),
    ("QueryLatency", latency_pb2.QueryLatencyRequest),
    ("PredictLatencies", latency_pb2.PredictLatenciesRequest),
]
TYPED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class AbortedError(Exception):
    """What a call's context raises."""


class Context:
    """A call of the operator."""

    code: grpc.StatusCode | None = None

    def invocation_metadata(self) -> Any:
        return (("authorization", "Bearer operator"),)

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        return {}

    async def abort(self, code: grpc.StatusCode, details: str, trailing: object = ()) -> None:
        self.code = code
        raise AbortedError(details)


class Runner:
    def submit(self, config: SearchConfig) -> None:
        """Nothing runs here."""

    def cancel(self, name: str) -> None:
        """Nothing runs here."""


@st.composite
def filled(draw: st.DrawFn, kind: type[Message]) -> Message:
    """A message whose fields hold anything their types allow."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        if draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = _scalar(field.message_type.fields_by_name["value"])
            getattr(message, field.name).update(
                draw(st.dictionaries(st.text(max_size=9), values, max_size=2))
            )
        elif field.message_type is not None:
            inner = draw(filled(field.message_type._concrete_class))
            target = getattr(message, field.name)
            if field.is_repeated:
                target.append(inner)
            else:
                target.CopyFrom(inner)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_scalar(field), max_size=3)))
        else:
            setattr(message, field.name, draw(_scalar(field)))
    return message


def _scalar(field: Any) -> st.SearchStrategy[Any]:
    if field.type == field.TYPE_STRING:
        known = {
            "space": ["nas-bench-macro", "none"],
            "strategy": ["random", "evolution", "none"],
            "accuracy": ["client", "table:nas-bench-macro", ""],
            "page_token": ["", "0", "3", "x", "-1", "9" * 30],
            "architectures": ["22222222", "x", ""],
        }
        return st.one_of(st.sampled_from(known.get(field.name, ["s", "a"])), NAMES)
    if field.type == field.TYPE_DOUBLE:
        return st.floats()
    if field.type == field.TYPE_INT64:
        return st.integers(-(2**63), 2**63 - 1)
    return st.one_of(st.integers(-3, 40), st.integers(-(2**31), 2**31 - 1))


@pytest.fixture
def services(world: World, tmp_path: Path) -> Iterator[Any]:
    world.join("a")
    access = Access(world.enrolment, GrantBook(world.store, None, world.clock), digest_of("operator"))
    monitor = HealthMonitor(
        world.fleet,
        world.store,
        SqliteHealthStore(world.store.database),
        world.artifacts,
        world.clock,
        HealthSettings(automatic=False),
    )
    book = SearchBook(SqliteSearchStore(world.store.database), Runner(), tmp_path / "runs", world.clock)
    book.create(SearchConfig("s", "nas-bench-macro", "random", "client", ("x",), budget=1_000))
    services = (
        DeviceServicer(world.fleet, world.enrolment, access, monitor, str),
        SearchServicer(book, access),
        LatencyServicer(LatencyBook(tmp_path / "latency.db"), access),
    )
    with asyncio.Runner() as runner:
        yield lambda method, message: runner.run(_call(services, method, message))


async def _call(services: tuple[Any, ...], method: str, message: Message) -> grpc.StatusCode | None:
    servicer = next(one for one in services if method in vars(type(one)))
    context = Context()
    try:
        answer = getattr(servicer, method)(message, context)
        if isinstance(answer, AsyncIterator):
            await anext(answer)
        else:
            await answer
    except AbortedError:
        pass
    return context.code


@pytest.mark.parametrize(("method", "kind"), REQUESTS, ids=[method for method, _ in REQUESTS])
@settings(max_examples=60, deadline=None, suppress_health_check=[Check.function_scoped_fixture])
@given(data=st.data())
def test_any_message_is_answered_or_refused_with_a_typed_error(
    services: Any, method: str, kind: type[Message], data: st.DataObject
) -> None:
    code = services(method, data.draw(filled(kind)))
    assert code is None or code in TYPED
