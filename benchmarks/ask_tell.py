"""What the search benchmarks share: asking and telling a strategy, and the line of a share that was found."""

__all__ = ["run_strategy", "show_share"]

import statistics
from collections.abc import Callable, Mapping, Sequence
from random import Random

from figures import mean_line, show_line

from fleetnas_controller.strategies.strategy import Outcome, Strategy
from fleetnas_search_spaces.architecture import Architecture


def run_strategy(
    strategy: Strategy,
    budget: int,
    batch: int,
    seed: int,
    evaluate: Callable[[int, Architecture], Outcome],
) -> list[Outcome]:
    """Outcomes in the order they were told, ``batch`` under way at a time.

    The generators of proposals are the strategy's alone, so two strategies meet the same noise.

    Args:
        evaluate: (number of the trial, architecture) -> its outcome.
    """
    told: list[Outcome] = []
    while len(told) < budget:
        pending: list[Architecture] = []
        while len(pending) < min(batch, budget - len(told)):
            pending.append(strategy.ask(pending, Random(f"ask {seed} {len(told) + len(pending)}")))
        for one in pending:
            told.append(evaluate(len(told), one))
            strategy.tell(told[-1], Random(f"tell {seed} {told[-1].number}"))
    return told


def show_share(
    name: str,
    shares: Sequence[float],
    strategy: str,
    cpu_s: Sequence[float],
    setting: Mapping[str, object],
    *,
    as_json: bool,
) -> None:
    """Prints the mean of shares in percent with two standard errors, and the mean CPU time of a search."""
    whole = {"strategy": strategy, **setting, "cpu_s": round(statistics.mean(cpu_s), 2)}
    show_line(mean_line(name, shares, "%", whole, digits=2), f"{strategy:14s} {name:26s}", as_json=as_json)
