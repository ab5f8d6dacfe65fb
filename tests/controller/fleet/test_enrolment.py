"""Join tokens and credentials."""

from typing import Any

import pytest

from fleetnas_controller.devices import DeviceDescription
from fleetnas_controller.enrolment import MAX_TTL_S
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)

World = Any


def enrol(world: World, secret: str, device_id: str = "") -> Any:
    return world.fleet.enrol(secret, device_id, DeviceDescription("board", "host", ()))


def test_token_works_once(world: World) -> None:
    token = world.enrolment.create_token()
    enrol(world, token.secret)
    with pytest.raises(PermissionDeniedError, match="used up"):
        enrol(world, token.secret)


def test_counted_token_works_as_often_as_it_says(world: World) -> None:
    token = world.enrolment.create_token(use_count=2)
    enrol(world, token.secret, "a")
    enrol(world, token.secret, "b")
    with pytest.raises(PermissionDeniedError):
        enrol(world, token.secret, "c")


def test_token_expires(world: World) -> None:
    token = world.enrolment.create_token(ttl_s=60)
    world.clock.now += 60
    with pytest.raises(PermissionDeniedError, match="expired"):
        enrol(world, token.secret)


def test_token_that_expired_long_ago_is_forgotten(world: World) -> None:
    old = world.enrolment.create_token(ttl_s=60)
    world.clock.now += 60 + 86_400 + 1
    world.enrolment.create_token()
    with pytest.raises(PermissionDeniedError, match="unknown"):
        enrol(world, old.secret)


def test_unknown_token_is_refused(world: World) -> None:
    with pytest.raises(PermissionDeniedError):
        enrol(world, "guessed")


def test_empty_token_is_refused(world: World) -> None:
    with pytest.raises(PermissionDeniedError):
        enrol(world, "")


def test_bound_token_enrols_its_device_only(world: World) -> None:
    token = world.enrolment.create_token("a", use_count=2)
    with pytest.raises(PermissionDeniedError, match="'a' only"):
        enrol(world, token.secret, "b")
    assert enrol(world, token.secret)[0].name == "devices/a"


def test_refused_enrolment_uses_nothing_up(world: World) -> None:
    world.enrol("a")
    token = world.enrolment.create_token()
    with pytest.raises(AlreadyExistsError):
        enrol(world, token.secret, "a")
    assert enrol(world, token.secret, "b")[0].name == "devices/b"


def test_enrolling_again_revokes_the_old_credential(world: World) -> None:
    old, new = world.enrol("a"), world.enrol("a")
    assert world.enrolment.device_of(new) == "devices/a"
    with pytest.raises(PermissionDeniedError):
        world.enrolment.device_of(old)


def test_removal_revokes_the_credential(world: World) -> None:
    credential = world.enrol("a")
    world.fleet.remove("devices/a")
    with pytest.raises(PermissionDeniedError):
        world.enrolment.device_of(credential)


def test_secrets_are_not_in_the_store(world: World) -> None:
    token = world.enrolment.create_token("a", use_count=2)
    _, credential = enrol(world, token.secret)
    dump = "\n".join(world.store._db.iterdump())
    assert token.secret not in dump
    assert credential.text not in dump
    assert credential.sha256 in dump


@pytest.mark.parametrize(
    "arguments", [{"use_count": -1}, {"ttl_s": MAX_TTL_S + 1}, {"device_id": "../a"}, {"ttl_s": -1.0}]
)
def test_unusable_token_wishes_are_refused(world: World, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        world.enrolment.create_token(**arguments)


def test_unknown_device_names_the_near_one(world: World) -> None:
    world.enrol("bench-1")
    with pytest.raises(NotFoundError, match="did you mean 'bench-1'"):
        world.fleet.devices.get("devices/bench1")


def attempt(world: World, secret: str, attempt_id: str = "one", device_id: str = "a") -> tuple[str, str]:
    """Name and credential of the device that comes of it."""
    described = DeviceDescription("board", "host", ())
    device, credential = world.fleet.enrol(secret, device_id, described, attempt_id=attempt_id)
    return device.name, credential.sha256


def test_same_attempt_is_one_enrolment_with_a_new_credential(world: World) -> None:
    secret = world.enrolment.create_token(use_count=2).secret
    name, first = attempt(world, secret)
    world.restart()
    again, second = attempt(world, secret)
    assert (again, world.enrolment.device_of(second)) == (name, name)
    with pytest.raises(PermissionDeniedError):
        world.enrolment.device_of(first)
    assert attempt(world, secret, "other", "b")[0] == "devices/b"  # the second use was left
    assert attempt(world, secret)[0] == name
    with pytest.raises(PermissionDeniedError, match="used up"):
        attempt(world, secret, "third", "c")


def test_attempt_without_an_id_gets_the_same_name_again(world: World) -> None:
    secret = world.enrolment.create_token().secret
    assert attempt(world, secret, device_id="")[0] == attempt(world, secret, device_id="")[0]


@pytest.mark.parametrize(
    ("attempt_id", "device_id"), [("two", "a"), ("", "a"), ("one", "b")], ids=["attempt", "none", "device"]
)
def test_another_attempt_with_a_used_token_is_refused(world: World, attempt_id: str, device_id: str) -> None:
    secret = world.enrolment.create_token().secret
    attempt(world, secret)
    with pytest.raises(PermissionDeniedError, match="used up"):
        attempt(world, secret, attempt_id, device_id)


def test_attempt_ends_with_its_token_and_with_its_device(world: World) -> None:
    secret = world.enrolment.create_token(ttl_s=60).secret
    attempt(world, secret)
    world.clock.now += 61
    with pytest.raises(PermissionDeniedError, match="expired"):
        attempt(world, secret)
    secret = world.enrolment.create_token().secret
    name, _ = attempt(world, secret, device_id="b")
    world.fleet.remove(name)
    with pytest.raises(PermissionDeniedError, match="used up"):
        attempt(world, secret, device_id="b")


def test_endless_attempt_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgumentError, match="65 characters"):
        attempt(world, world.enrolment.create_token().secret, "x" * 65)
