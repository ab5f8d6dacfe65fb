"""What waits for which device."""

from typing import Any

from fleetnas_controller.jobs import Selector

World = Any


def counts(world: World) -> dict[str, int]:
    return {one.name: world.fleet.waiting_count(one) for one in world.fleet.devices.all()}


def test_queue_of_a_device_keeps_places_in_the_whole_queue(world: World) -> None:
    world.enrol("a")
    world.enrol("b")
    world.create("m1", selector=Selector(device="b"))
    world.create("m2")
    world.create("m3", selector=Selector(device="a"), priority=5)
    waiting = world.fleet.waiting(world.fleet.devices.get("devices/a"))
    assert [(one.name, one.queue_position) for one in waiting] == [
        ("measurements/m3", 1),
        ("measurements/m2", 3),
    ]


def test_queues_are_counted_by_what_each_device_could_take(world: World) -> None:
    world.enrol("a")
    world.enrol("b")
    world.create("m1", selector=Selector(device="b"))
    world.create("m2")
    world.create("m3", selector=Selector(model="none"))
    assert counts(world) == {"devices/a": 1, "devices/b": 2}


def test_what_a_device_holds_waits_no_more(world: World) -> None:
    world.join("a")
    world.create("m1")
    world.create("m2")
    assert counts(world) == {"devices/a": 1}
