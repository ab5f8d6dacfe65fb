"""Search spaces by name: those shipped here and those that plug-ins bring."""

__all__ = ["ENTRY_POINT_GROUP", "space", "space_names"]

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names
from fleetnas_search_spaces.plug_in import guarded_space

ENTRY_POINT_GROUP = "fleetnas.search_spaces"
"""Entry points of this group name a callable without arguments that returns a SearchSpace."""

_BUILT_IN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fbnet": ("fleetnas_search_spaces.fbnet", "FBNet"),
        "light-nas": ("fleetnas_search_spaces.light_nas", "LightNAS"),
        "mobilenet-v2": ("fleetnas_search_spaces.mobilenet_v2", "MobileNetV2"),
        "mobilenet-v2-paper": ("fleetnas_search_spaces.mobilenet_v2", "mobilenet_v2_paper"),
        "nas-bench-201": ("fleetnas_search_spaces.nas_bench_201", "NASBench201"),
        "nas-bench-macro": ("fleetnas_search_spaces.nas_bench_macro", "NASBenchMacro"),
    }
)


def space_names() -> tuple[str, ...]:
    """The names ``space`` knows, sorted. A plug-in is listed even when it cannot be loaded."""
    return tuple(sorted({*_BUILT_IN, *_plug_ins()}))


def space(name: str) -> SearchSpace:
    """Makes the space called ``name``; a built-in wins over a plug-in of the same name.

    Raises:
        NotFoundError: No such space.
        FailedPreconditionError: The plug-in that brings it is broken.
    """
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        factory: Callable[[], SearchSpace] = getattr(importlib.import_module(module), attribute)
        return factory()
    plug_ins = _plug_ins()
    if name not in plug_ins:
        raise NotFoundError(f"no search space '{name}': {near_names(name, space_names())}")
    return _from_plug_in(plug_ins[name])


def _plug_ins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def _from_plug_in(entry: EntryPoint) -> SearchSpace:
    try:
        made = entry.load()()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FailedPreconditionError(
            f"the plug-in '{entry.value}' of search space '{entry.name}' fails with {reason}: "
            "repair or uninstall it."
        ) from error
    if not isinstance(made, SearchSpace):
        raise FailedPreconditionError(
            f"the plug-in '{entry.value}' of search space '{entry.name}' returns a {type(made).__name__}, "
            "which lacks methods of SearchSpace: see its contract test."
        )
    return guarded_space(entry.name, made)
