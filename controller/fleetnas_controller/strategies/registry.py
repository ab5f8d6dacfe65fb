"""Strategies by name: ours, all of Optuna's, and those that users register."""

__all__ = ["ENTRY_POINT_GROUP", "create_strategy", "strategy_names"]

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import UnionType
from typing import get_args

from fleetnas_controller.strategies.objective import check_caps, check_costs, check_soft
from fleetnas_controller.strategies.plug_in import guarded, plug_in_errors
from fleetnas_controller.strategies.strategy import Problem, Strategy
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    FleetNASError,
    InvalidArgumentError,
    NotFoundError,
    near_names,
)

ENTRY_POINT_GROUP = "fleetnas.strategies"
"""An entry point of this group names a class whose constructor takes the problem; its keyword-only parameters
are the strategy's options, and one called ``budget`` gets the number of evaluations."""

_PACKAGE = "fleetnas_controller.strategies"

_BUILT_IN: Mapping[str, tuple[str, str]] = {
    "annealing": ("annealing", "SimulatedAnnealing"),
    "evolution": ("evolution", "RegularizedEvolution"),
    "local-search": ("local_search", "LocalSearch"),
    "predictor": ("predictor", "PredictorSearch"),
    "reinforce": ("reinforce", "Reinforce"),
    "random": ("random_search", "RandomSearch"),
}

_ONE_ANSWER = ("annealing", "evolution", "local-search", "optuna-cmaes", "reinforce")
"""They climb by one number and cannot search a front."""

_OPTUNA = "optuna-"
_OPTUNA_NAMES = ("bruteforce", "cmaes", "gp", "nsga2", "nsga3", "qmc", "random", "tpe")

_Factory = Callable[..., Strategy]


def strategy_names() -> tuple[str, ...]:
    """Every name that ``create_strategy`` knows, sorted. Imports no strategy."""
    optuna = (f"{_OPTUNA}{name}" for name in _OPTUNA_NAMES)
    return tuple(sorted({*_BUILT_IN, *optuna, *_plug_ins()}))


def create_strategy(
    name: str,
    problem: Problem,
    *,
    budget: int | None = None,
    options: Mapping[str, str | float] | None = None,
) -> Strategy:
    """Makes a fresh strategy.

    Args:
        budget: How many evaluations the search will make, where that is known; strategies that do not plan
            ahead ignore it.
        options: The strategy's own parameters by name, as numbers or as the text a user typed.

    Raises:
        NotFoundError: No strategy of that name; the message names the near ones.
        InvalidArgumentError: An option the strategy does not have, a value it cannot use, or a front that it
            cannot search.
        FailedPreconditionError: A package the strategy needs is not installed, or a plug-in is broken.
    """
    check_caps(problem.caps)
    check_costs(problem.costs)
    check_soft(problem)
    if problem.costs and name in _ONE_ANSWER:
        raise InvalidArgumentError(
            f"strategy '{name}' finds one network, not a front; use one of predictor, random, optuna-nsga2, "
            "optuna-nsga3, optuna-tpe"
        )
    factory = _factory(name)
    parameters = {
        key: parameter
        for key, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    values: dict[str, object] = {
        key: _value(name, key, value, parameters) for key, value in (options or {}).items()
    }
    if "budget" in parameters:
        values["budget"] = budget
    if name.startswith(_OPTUNA) and name not in _plug_ins():
        values["sampler"] = name.removeprefix(_OPTUNA)
    if name in _BUILT_IN or name not in _plug_ins():
        return factory(problem, **values)
    with plug_in_errors(name, "its constructor", passing=(FleetNASError,)):
        return guarded(name, factory(problem, **values), problem.space)


def _factory(name: str) -> _Factory:
    plug_in = _plug_ins().get(name)
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
    elif plug_in is not None:
        return _load(plug_in)
    elif name.startswith(_OPTUNA):
        module, attribute = "optuna_study", "OptunaStudy"
    else:
        raise NotFoundError(f"no strategy '{name}'; {near_names(name, strategy_names())}")
    try:
        factory: _Factory = getattr(import_module(f"{_PACKAGE}.{module}"), attribute)
    except ModuleNotFoundError as error:
        raise FailedPreconditionError(
            f"strategy '{name}' needs the package '{error.name}', which is not installed; "
            f"pip install 'fleetnas[{'optuna' if module == 'optuna_study' else 'search'}]'"
        ) from error
    return factory


def _plug_ins() -> dict[str, EntryPoint]:
    return {one.name: one for one in entry_points(group=ENTRY_POINT_GROUP)}


def _load(plug_in: EntryPoint) -> _Factory:
    try:
        factory: _Factory = plug_in.load()
    except Exception as error:
        raise FailedPreconditionError(
            f"strategy '{plug_in.name}' is registered as '{plug_in.value}' but cannot be loaded ({error}); "
            "repair or uninstall that package"
        ) from error
    return factory


def _value(
    strategy: str, key: str, value: str | float, parameters: Mapping[str, inspect.Parameter]
) -> str | int | float | bool:
    """The option's value in the type its parameter is annotated with."""
    known = sorted(set(parameters) - {"budget", "sampler"})
    if key not in known:
        near = near_names(key, known) if known else "it has none"
        raise InvalidArgumentError(f"strategy '{strategy}' has no option '{key}'; {near}")
    kind = parameters[key].annotation
    if isinstance(kind, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    try:
        return _converted(value, kind)
    except (ValueError, OverflowError) as error:
        wanted = getattr(kind, "__name__", str(kind))
        raise InvalidArgumentError(
            f"option '{key}' of strategy '{strategy}' is '{value}'; give a value of type {wanted}"
        ) from error


def _converted(value: str | float, kind: object) -> str | int | float | bool:
    if kind is bool:
        flags = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in flags:
            raise ValueError(value)
        return flags[str(value).lower()]
    if kind is int:
        if float(value) != int(float(value)):
            raise ValueError(value)
        return int(float(value))
    return float(value) if kind is float else str(value)
