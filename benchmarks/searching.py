"""The search loop of the benchmarks: a strategy against published trainings, without fleet and store."""

__all__ = ["Answer", "Task", "macro_task", "search"]

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ask_tell import run_strategy

from fleetnas_controller.ranking import rank_observed
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Ranks, Reading, Strategy
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_source import accuracy_source

_DEVICE = "table"


@dataclass(frozen=True, slots=True)
class Task:
    """A table that knows the truth.

    Attributes:
        accuracy_percent: Mean of the published trainings, by architecture key.
        latency_ms: By architecture key; empty without a cap.
        limit_ms: The cap; None without.
        latency_noise: Relative standard deviation of one measurement.
    """

    space: SearchSpace
    accuracy_percent: Mapping[str, float]
    latency_ms: Mapping[str, float]
    limit_ms: float | None
    latency_noise: float

    @property
    def best_percent(self) -> float:
        """The highest true accuracy under the true cap."""
        return max(value for key, value in self.accuracy_percent.items() if not self.over(key))

    def over(self, key: str) -> bool:
        return self.limit_ms is not None and self.latency_ms[key] > self.limit_ms


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search answered, judged by the truth.

    Attributes:
        regret: Points of accuracy under the best.
        distinct_count: Different networks evaluated.
    """

    regret: float
    over_cap: bool
    reached_reference: bool
    distinct_count: int


def macro_task(latency_csv: Path | None, cap_fraction: float, latency_noise: float) -> Task:
    """NAS-Bench-Macro, canonical networks; the cap is a share of the reference's latency."""
    macro = space("nas-bench-macro")
    members = canonical_members(macro, 10_000) or ()
    source = accuracy_source("table:nas-bench-macro")
    accuracy = {one.key: source.evaluate(one, 0).value_percent for one in members}
    if latency_csv is None:
        return Task(macro, accuracy, {}, None, 0.0)
    with gzip.open(latency_csv, "rt") if latency_csv.suffix == ".gz" else latency_csv.open() as file:
        rows = list(csv.DictReader(file))
    latency = {macro.canonical(macro.parse(row["arch"])).key: float(row["latency_ms"]) for row in rows}
    limit_ms = cap_fraction * latency[macro.reference.key]
    return Task(macro, accuracy, latency, limit_ms, latency_noise)


def search(
    task: Task,
    strategy_name: str,
    budget: int,
    seed: int,
    batch: int,
    options: Mapping[str, str] | None = None,
) -> Answer:
    """One search of ``budget`` evaluations, each one of the three published trainings at random."""
    caps = () if task.limit_ms is None else (Cap(CapKind.LATENCY_MS, task.limit_ms, _DEVICE),)
    problem = Problem(task.space, caps, accuracy_noise=True)
    strategy = create_strategy(strategy_name, problem, budget=budget, options=options)
    trainings = accuracy_source("table:nas-bench-macro:single", seed=seed)

    def evaluate(number: int, one: Architecture) -> Outcome:
        accuracy = trainings.evaluate(one, number).value_percent
        return Outcome(number, one, accuracy, _readings(task, one, f"{seed} {number}"))

    told = run_strategy(strategy, budget, batch, seed, evaluate)
    return _judged(task, _answer(strategy, problem, told), told)


def _readings(task: Task, one: Architecture, draw: str) -> dict[str, Reading]:
    if task.limit_ms is None:
        return {}
    error = 1.0 + task.latency_noise * Random(f"latency {draw}").gauss(0.0, 1.0)
    value_ms = task.latency_ms[one.key] * error
    return {_DEVICE: Reading(value_ms, task.latency_noise * value_ms)}


def _answer(strategy: Strategy, problem: Problem, told: list[Outcome]) -> Architecture:
    """By the strategy's own ranking, or by the one the product makes of what was observed."""
    if isinstance(strategy, Ranks):
        return strategy.rank()[0]
    best = rank_observed(told, problem.caps)[0]
    return next(one.architecture for one in told if one.architecture.key == best)


def _judged(task: Task, answer: Architecture, told: list[Outcome]) -> Answer:
    accuracy = task.accuracy_percent[answer.key]
    return Answer(
        task.best_percent - accuracy,
        task.over(answer.key),
        accuracy >= task.accuracy_percent[task.space.reference.key],
        len({one.architecture.key for one in told}),
    )
