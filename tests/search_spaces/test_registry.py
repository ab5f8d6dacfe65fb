"""Spaces by name, and what a plug-in may do wrong."""

from importlib.metadata import EntryPoint

import pytest

from fleetnas_search_spaces import registry
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.registry import space, space_names


class Renamed(NASBenchMacro):
    """A plug-in's space."""

    name = "of-a-plug-in"


def not_a_space() -> int:
    return 3


def broken() -> SearchSpace:
    raise ZeroDivisionError("no\nluck")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Registers the object of this module that the test names."""
    entry = EntryPoint("of-a-plug-in", f"{__name__}:{request.param}", registry.ENTRY_POINT_GROUP)
    loaded = {"Renamed": Renamed, "not_a_space": not_a_space, "broken": broken}[request.param]
    monkeypatch.setattr(EntryPoint, "load", lambda self: loaded)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    return entry.name


def test_an_unknown_name_is_answered_with_the_near_ones() -> None:
    with pytest.raises(NotFoundError, match="nas-bench-macro"):
        space("nas-bench-makro")


@pytest.mark.parametrize("plug_in", ["Renamed"], indirect=True)
def test_a_plug_in_brings_its_space(plug_in: str) -> None:
    assert plug_in in space_names()
    made = space(plug_in)
    assert isinstance(made, SearchSpace)
    assert made.format(made.reference) == "22222222"


@pytest.mark.parametrize("plug_in", ["not_a_space"], indirect=True)
def test_a_plug_in_that_returns_something_else_is_named(plug_in: str) -> None:
    with pytest.raises(FailedPreconditionError, match="returns a int"):
        space(plug_in)


@pytest.mark.parametrize("plug_in", ["broken"], indirect=True)
def test_a_plug_in_that_fails_is_named_in_one_line(plug_in: str) -> None:
    with pytest.raises(FailedPreconditionError, match="ZeroDivisionError: no luck"):
        space(plug_in)


def test_a_built_in_space_wins_over_a_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("nas-bench-macro", "nowhere:Nothing", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    assert space("nas-bench-macro").name == "nas-bench-macro"
