import inspect
from random import Random

import optuna
import pytest

from fleetnas_controller.strategies import optuna_study
from fleetnas_controller.strategies.optuna_study import SAMPLERS, OptunaStudy
from fleetnas_controller.strategies.registry import strategy_names
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Reading
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError

_NAMES = sorted(set(SAMPLERS) - {"gp"})


def _search(strategy: OptunaStudy, space: SearchSpace, count: int) -> list[tuple[int, ...]]:
    found = []
    for number in range(count):
        one = strategy.ask([], Random(f"ask {number}"))
        found.append(one.choices)
        accuracy = 90.0 + one.choices[0] - one.choices[1]
        latencies = {"phone": Reading(1.0 + one.choices[2])}
        strategy.tell(Outcome(number, one, accuracy, latencies), Random(f"tell {number}"))
    return found


@pytest.mark.parametrize("name", ["tpe", "nsga2", "nsga3", "cmaes"])
def test_sampler_learns_from_what_it_is_told(tiny_space: SearchSpace, name: str) -> None:
    problem = Problem(tiny_space, accuracy_noise=True)  # noise lets it come back to the good ones
    found = _search(OptunaStudy(problem, sampler=name, population_size=8), tiny_space, 60)
    gains = [first - second for first, second, _ in found]
    assert sum(gains[40:]) / 20 > sum(gains[:10]) / 10 + 0.5


@pytest.mark.parametrize("name", ["tpe", "nsga2", "nsga3"])
def test_sampler_heeds_a_latency_cap(tiny_space: SearchSpace, name: str) -> None:
    problem = Problem(tiny_space, (Cap(CapKind.LATENCY_MS, 1.5, "phone"),), accuracy_noise=True)
    found = _search(OptunaStudy(problem, sampler=name, population_size=8), tiny_space, 120)
    kept = [1.0 + third <= 1.5 for _, _, third in found]
    assert sum(kept[60:]) > 30  # blind draws keep it 15 times


def test_gaussian_process_sampler_resumes_exactly(tiny_space: SearchSpace) -> None:
    problem = Problem(tiny_space)
    whole, resumed = OptunaStudy(problem, sampler="gp"), OptunaStudy(problem, sampler="gp")
    found = _search(whole, tiny_space, 12)
    for number, choices in enumerate(found[:11]):
        one = tiny_space.parse("".join(map(str, choices)))
        resumed.tell(Outcome(number, one, 90.0 + choices[0] - choices[1]), Random(f"tell {number}"))
    assert resumed.ask([], Random("ask 11")).choices == found[11]


@pytest.mark.parametrize("name", _NAMES)
def test_pending_proposals_are_not_repeated(tiny_space: SearchSpace, name: str) -> None:
    strategy = OptunaStudy(Problem(tiny_space), sampler=name)
    _search(strategy, tiny_space, 12)
    pending = [strategy.ask([], Random(0))]
    pending.append(strategy.ask(pending, Random(0)))
    assert pending[0] != pending[1]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_every_sampler_of_optuna_that_proposes_by_itself_has_a_name() -> None:
    classes = {name for name in optuna.samplers.__all__ if inspect.isclass(getattr(optuna.samplers, name))}
    known = {type(kind.make(0, 20)).__name__ for kind in SAMPLERS.values()}
    assert classes - known == {"BaseSampler", "BaseGASampler", "GridSampler", "PartialFixedSampler"}
    assert {f"optuna-{name}" for name in SAMPLERS} <= set(strategy_names())


def test_sampler_whose_package_is_missing_says_which(
    tiny_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_study, "find_spec", lambda name: None)
    with pytest.raises(FailedPreconditionError, match="pip install cmaes"):
        OptunaStudy(Problem(tiny_space), sampler="cmaes")
