"""CPU milliseconds of one ask and one tell after 100, 1,000 and 5,000 finished trials.

    python benchmarks/overhead.py --json

The space is one of 17 choices of 5 (too big to list), features are the choices; trials were drawn at random and told
before. ``optuna alone`` is Optuna's own loop on the same data: in-memory study, ask, 17 suggests, tell.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Problem, Reading
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.choices import mutate_choices, parse_choices, sample_choices
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.graph import Graph
from fleetnas_search_spaces.registry import space

_STRATEGIES = "random,annealing,evolution,predictor,optuna-random,optuna-tpe,optuna-nsga2,optuna-cmaes"
_CAP = Cap(CapKind.LATENCY_MS, 1.5, "phone")
_PEERS = {"tpe": "TPESampler", "nsga2": "NSGAIISampler", "cmaes": "CmaEsSampler", "random": "RandomSampler"}


class FlatSpace:
    """17 decisions of 5 options: as many as a MobileNetV2-like chain has, without its graph."""

    name = "flat"
    option_counts = (5,) * 17
    reference = Architecture("flat", (4,) * 17, 32)

    def sample(self, rng: Random) -> Architecture:
        return Architecture(self.name, sample_choices(self.option_counts, rng), 32)

    def mutate(self, parent: Architecture, rng: Random) -> Architecture:
        return Architecture(self.name, mutate_choices(parent.choices, self.option_counts, rng), 32)

    def canonical(self, architecture: Architecture) -> Architecture:
        return architecture

    def parse(self, text: str) -> Architecture:
        return Architecture(self.name, parse_choices(text, self.option_counts, self.name), 32)

    def format(self, architecture: Architecture) -> str:
        return "".join(map(str, architecture.choices))

    def graph(self, architecture: Architecture) -> Graph:
        raise InvalidArgumentError(f"'{architecture.key}' has no graph: this space only times strategies")

    def features(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([one.choices for one in architectures], dtype=np.float64)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for size in (int(one) for one in options.sizes.split(",")):
        for name in options.strategies.split(","):
            if name == "optuna-gp" and size > options.gp_up_to:
                continue
            _report(name, size, _strategy_times_ms(name, size, options.rounds), options)
        if options.capped:
            _report("predictor, latency cap", size, _capped_times_ms(size, options.rounds), options)
        for name in _PEERS if options.peers else ():
            _report(f"optuna alone: {name}", size, _optuna_times_ms(name, size, options.rounds), options)
    return 0


def _accuracy(choices: Sequence[int]) -> float:
    return 70.0 + 0.25 * sum(choices) + 0.5 * (choices[0] == 2)


def _strategy_times_ms(name: str, size: int, rounds: int) -> list[float]:
    flat = FlatSpace()
    strategy = create_strategy(name, Problem(flat, accuracy_noise=True))
    rng = Random(0)
    for number in range(size):
        one = flat.sample(rng)
        strategy.tell(Outcome(number, one, _accuracy(one.choices)), Random(number))

    def one_round(number: int) -> None:
        one = strategy.ask([], Random(number))
        strategy.tell(Outcome(number, one, _accuracy(one.choices)), Random(number))

    return _timed_ms(one_round, size, rounds)


def _capped_times_ms(size: int, rounds: int) -> list[float]:
    """The predictor on NAS-Bench-Macro under a latency cap; latencies made up from MACs, read with 2 % error."""
    macro = space("nas-bench-macro")
    strategy = create_strategy("predictor", Problem(macro, (_CAP,), accuracy_noise=True))
    rng = Random(0)

    def outcome(number: int, one: Architecture) -> Outcome:
        count = macs(macro.graph(one))
        value_ms = (0.1 + count / 40e6) * (1.0 + 0.02 * rng.gauss(0.0, 1.0))
        accuracy = 93.5 - 6e7 / count + 0.2 * rng.gauss(0.0, 1.0)
        return Outcome(number, one, accuracy, {_CAP.device: Reading(value_ms, 0.02 * value_ms)})

    for number in range(size):
        strategy.tell(outcome(number, macro.canonical(macro.sample(rng))), Random(number))

    def one_round(number: int) -> None:
        proposed[number] = strategy.ask([], Random(number))

    def told(number: int) -> None:
        strategy.tell(outcomes[number], Random(number))

    proposed: dict[int, Architecture] = {}
    outcomes: dict[int, Outcome] = {}
    times_ms: list[float] = []
    for number in range(size, size + rounds + 1):
        ask_ms = _once_ms(one_round, number)
        outcomes[number] = outcome(number, proposed[number])
        times_ms.append(ask_ms + _once_ms(told, number))
    return times_ms[1:]


def _once_ms(call: Callable[[int], None], number: int) -> float:
    start = time.process_time()
    call(number)
    return 1_000.0 * (time.process_time() - start)


def _optuna_times_ms(name: str, size: int, rounds: int) -> list[float]:
    sampler = getattr(optuna.samplers, _PEERS[name])(seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    ordinal = name == "cmaes"
    distribution = (
        optuna.distributions.IntDistribution(0, 4)
        if ordinal
        else optuna.distributions.CategoricalDistribution([0, 1, 2, 3, 4])
    )
    distributions: dict[str, BaseDistribution] = {f"choice{index:02d}": distribution for index in range(17)}
    rng = Random(0)
    for _ in range(size):
        params = {key: rng.randrange(5) for key in distributions}
        value = _accuracy(list(params.values()))
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))

    def one_round(_: int) -> None:
        trial = study.ask(distributions)
        study.tell(trial, _accuracy([trial.params[key] for key in distributions]))

    return _timed_ms(one_round, size, rounds)


def _timed_ms(one_round: Callable[[int], None], first: int, rounds: int) -> list[float]:
    one_round(first)  # imports and first-time set-up are not the price of a trial
    return [_once_ms(one_round, number) for number in range(first + 1, first + 1 + rounds)]


def _report(name: str, size: int, times_ms: list[float], options: argparse.Namespace) -> None:
    setting = {"strategy": name, "finished": size, "rounds": len(times_ms), "max": round(max(times_ms), 2)}
    line = {
        "name": f"ask_tell_cpu@{size}",
        "value": round(statistics.median(times_ms), 3),
        "unit": "ms",
        "low": round(min(times_ms), 3),
        "high": round(max(times_ms), 3),
        "peer": None,
        "peer_value": None,
        "setting": setting,
    }
    text = f"{name:22s} {size:5d} finished: p50 {line['value']} ms, max {line['high']} ms"
    print(json.dumps(line) if options.json else text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100,1000,5000", help="finished trials, comma-separated")
    parser.add_argument("--strategies", default=_STRATEGIES, help="comma-separated; optuna-gp may be added")
    parser.add_argument(
        "--capped", action=argparse.BooleanOptionalAction, default=True, help="predictor under a latency cap"
    )
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="Optuna's samplers alone"
    )
    parser.add_argument("--rounds", type=int, default=30, help="rounds timed")
    parser.add_argument(
        "--gp-up-to", type=int, default=100, help="finished trials that optuna-gp is timed at"
    )
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
