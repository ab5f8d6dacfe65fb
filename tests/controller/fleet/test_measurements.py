"""What a request must be, and asking twice."""

from dataclasses import replace
from typing import Any

import pytest

from fleetnas_controller.jobs import Limits, MeasurementState, ModelFile
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

World = Any


def test_same_request_again_is_the_same_measurement(world: World) -> None:
    first = world.create()
    world.clock.now += 5
    assert world.create().create_time == first.create_time


def test_other_request_under_a_taken_id_is_refused(world: World) -> None:
    world.create()
    with pytest.raises(AlreadyExistsError, match="another content"):
        world.create(priority=1)


def test_finished_measurement_is_not_made_again(world: World) -> None:
    world.create()
    world.book.cancel("m")
    assert world.create().state is MeasurementState.CANCELLED


def test_higher_priority_goes_first(world: World) -> None:
    world.create("old")
    assert world.create("urgent", priority=5).queue_position == 1
    assert world.book.get("old").queue_position == 2


def test_file_that_is_not_uploaded_is_named(world: World, make_request: Any) -> None:
    request = make_request()
    missing = replace(request, files=(replace(request.files[0], sha256="0" * 64),))
    with pytest.raises(FailedPreconditionError, match="0" * 64):
        world.book.create(missing)


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.onnx", "a/../../b", "", "a\\b"])
def test_path_that_leads_out_is_refused(world: World, make_request: Any, path: str) -> None:
    request = make_request()
    with pytest.raises(InvalidArgumentError, match="path"):
        world.book.create(replace(request, files=(replace(request.files[0], path=path),), entry_file=path))


def test_entry_has_to_be_among_the_files(world: World, make_request: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"anchor\.onnx"):
        world.book.create(replace(make_request(), anchor_entry_file="anchor.onnx"))


def test_size_has_to_be_true(world: World, make_request: Any) -> None:
    request = make_request()
    wrong = ModelFile("net.onnx", request.files[0].sha256, 1)
    with pytest.raises(InvalidArgumentError, match="says 1"):
        world.book.create(replace(request, files=(wrong,)))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_every_limit_has_to_bound_something(world: World, seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match="total_s"):
        world.create(limits=Limits(total_s=seconds))


def test_batch_with_one_bad_request_creates_none(world: World, make_request: Any) -> None:
    bad = replace(make_request("b"), entry_file="other")
    with pytest.raises(InvalidArgumentError):
        world.book.create_all([make_request("a"), bad])
    with pytest.raises(NotFoundError):
        world.book.get("a")


def test_batch_with_one_id_twice_is_refused(world: World, make_request: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="different ids"):
        world.book.create_all([make_request("a"), make_request("a")])


def test_pages_give_every_measurement_once(world: World) -> None:
    for number in range(7):
        world.create(f"m{number}")
    names, token = [], ""
    while True:
        page = world.book.list(3, token)
        names += [one.name for one in page.items]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"measurements/m{number}" for number in range(7)]


def test_invented_page_token_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgumentError, match="page_token"):
        world.book.list(3, "x'; DROP TABLE")


@pytest.mark.parametrize("name", ["measurements/a/b", "a b", "", "x" * 121])
def test_impossible_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        world.book.get(name)
