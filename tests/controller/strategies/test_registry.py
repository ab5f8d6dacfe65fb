from importlib.metadata import EntryPoint
from random import Random

import pytest

from fleetnas_controller.strategies import registry
from fleetnas_controller.strategies.registry import create_strategy, strategy_names
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError


class PlugIn:
    def __init__(self, problem: Problem, *, budget: int | None = None, eager: bool = False) -> None:
        self.budget, self.eager, self._problem = budget, eager, problem

    def ask(self, pending: list[Architecture], rng: Random) -> Architecture:
        return self._problem.space.reference

    def tell(self, outcome: Outcome, rng: Random) -> None:
        return None


def _registered(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    point = EntryPoint("mine", value, registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])


def test_every_name_is_known_beforehand() -> None:
    assert {"annealing", "evolution", "optuna-tpe", "predictor", "random"} <= set(strategy_names())


def test_unknown_strategy_names_the_near_ones(tiny_space: SearchSpace) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'predictor'"):
        create_strategy("predicter", Problem(tiny_space))


def test_unknown_sampler_names_the_near_ones(tiny_space: SearchSpace) -> None:
    with pytest.raises(NotFoundError, match="nsga2"):
        create_strategy("optuna-nsga9", Problem(tiny_space))


def test_unknown_option_names_the_known_ones(tiny_space: SearchSpace) -> None:
    with pytest.raises(InvalidArgumentError, match="did you mean 'reduce_rate'"):
        create_strategy("annealing", Problem(tiny_space), options={"reduce_rte": 0.9})


def test_a_strategy_without_options_says_so(tiny_space: SearchSpace) -> None:
    with pytest.raises(InvalidArgumentError, match="it has none"):
        create_strategy("random", Problem(tiny_space), options={"seed": 1})


@pytest.mark.parametrize("value", ["many", "2.5", "inf", "nan"])
def test_value_of_the_wrong_type_is_refused(tiny_space: SearchSpace, value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="'population_size' of strategy 'evolution'.*type int"):
        create_strategy("evolution", Problem(tiny_space), options={"population_size": value})


def test_typed_text_becomes_the_parameter_s_type(tiny_space: SearchSpace) -> None:
    strategy = create_strategy("annealing", Problem(tiny_space), options={"init_tokens": "012"})
    assert strategy.ask([], Random(0)) == tiny_space.parse("012")


def test_unusable_cap_is_refused_for_every_strategy(tiny_space: SearchSpace) -> None:
    with pytest.raises(InvalidArgumentError, match="limit above zero"):
        create_strategy("random", Problem(tiny_space, (Cap(CapKind.MACS, -1.0),)))


def test_registered_strategy_gets_budget_and_options(
    tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _registered(monkeypatch, "ignored:PlugIn")
    monkeypatch.setattr(EntryPoint, "load", lambda self: PlugIn)
    guarded = create_strategy("mine", Problem(tiny_space), budget=7, options={"eager": "yes"})
    strategy = vars(guarded)["_strategy"]
    assert isinstance(strategy, PlugIn)
    assert (strategy.budget, strategy.eager) == (7, True)
    assert "mine" in strategy_names()


def test_broken_plug_in_fails_only_when_asked_for(
    tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _registered(monkeypatch, "no_such_package:Class")
    create_strategy("random", Problem(tiny_space))
    with pytest.raises(FailedPreconditionError, match="'mine'.*cannot be loaded"):
        create_strategy("mine", Problem(tiny_space))


def test_missing_optuna_names_the_extra(tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'optuna' ({name})", name="optuna")

    monkeypatch.setattr(registry, "import_module", missing)
    with pytest.raises(FailedPreconditionError, match=r"fleetnas\[optuna\]"):
        create_strategy("optuna-tpe", Problem(tiny_space))
