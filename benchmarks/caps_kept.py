"""Whether caps that a search calls kept are kept in truth: 30 searches on played, noisy devices.

    FLEETNAS_DATA=... python benchmarks/caps_kept.py --macro-csv macro_host.csv --json

Five devices, three caps each (shares of the reference's latency), two seeds: four phones of NAS-Bench-201's published
latencies, and a CPU's NAS-Bench-Macro (``macro_table.py``). The search is the product's own loop with its caps,
confirmations and measuring protocol, on a played fleet (``played_searches.py``). A cap is kept when the found
network's latency in the table is under it. Without any confirmation: the most accurate network whose one reading was
under the cap.
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
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from played_searches import Played, Sky, macro_device, phones, play_search, remembering, source

from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.choices import canonical_members

_PHONES = ("samsung_a50", "samsung_s7", "essential_ph_1", "pixel3")
_SHARES = (0.4, 0.6, 0.8)
_PEER = "HELP, published"
_HELP_KEPT, _HELP_CELLS = 10, 15


@dataclass(frozen=True, slots=True)
class Task:
    """One search."""

    device: Played
    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How a search ended, by the truth.

    Attributes:
        over: By how much the answer is over the cap, as a share of it; negative when kept; None without an answer.
        unconfirmed_over: The same of the most accurate network that one reading showed under the cap.
        behind_percent: Points of accuracy behind the best network that truly keeps the cap.
    """

    device: str
    over: float | None
    unconfirmed_over: float | None
    behind_percent: float | None


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    devices = [*phones(options.phones), *([macro_device(options.macro_csv)] if options.macro_csv else [])]
    tasks = [Task(one, share, seed) for one in devices for share in _SHARES for seed in range(options.seeds)]
    begun_s = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        found = list(pool.map(partial(_search, options), tasks))
    setting = {
        "searches": len(tasks),
        "budget": options.budget,
        "noise": options.noise,
        "weather": options.weather,
        "cap": "relative" if options.relative else "absolute",
        "wall_s": round(time.monotonic() - begun_s),
    }
    for device in ("", *(one.name for one in devices)):
        mine = [one for one in found if device in ("", one.device)]
        kept = sum(one.over is not None and one.over <= 0.0 for one in mine)
        one_reading = sum(one.unconfirmed_over is not None and one.unconfirmed_over <= 0.0 for one in mine)
        here = setting | {"device": device or "all", "searches": len(mine)}
        _show("caps_kept", kept, "searches", here, options)
        _show("kept_by_one_reading", one_reading, "searches", here, options)
        _show("no_answer", sum(one.over is None for one in mine), "searches", here, options)
        behind = [one.behind_percent for one in mine if one.behind_percent is not None]
        _show(
            "accuracy_behind", round(statistics.mean(behind), 3) if behind else None, "points", here, options
        )
    worst = max((one.over for one in found if one.over is not None), default=None)
    nearest = None if worst is None else round(100.0 * worst, 2)
    _show("nearest_to_the_cap", nearest, "% over", setting | {"device": "all"}, options)
    return 0


def _search(options: argparse.Namespace, task: Task) -> Kept:
    device, space = task.device, remembering(task.device.space)
    reference_ms = device.latency_ms[space.canonical(space.reference).key]
    limit_ms = task.share * reference_ms
    cap = {"latency_drop": 1.0 - task.share} if options.relative else {"max_latency_ms": limit_ms}
    config = SearchConfig(
        f"{device.name}-{task.share}-{task.seed}",
        device.space,
        "predictor",
        device.accuracy,
        (device.name,),
        budget=options.budget,
        seed=task.seed,
        strategy_options={"design_seed": str(task.seed)},
        **cap,
    )
    outcome = play_search(device, config, Sky(options.noise, options.weather))
    return _judged(task, space, outcome, limit_ms)


def _judged(task: Task, space: SearchSpace, outcome: SearchOutcome, limit_ms: float) -> Kept:
    truth = task.device.latency_ms
    exact = source(task.device.accuracy.removesuffix(":single"), 0)

    def accuracy(text: str) -> float:
        return exact.evaluate(space.parse(text), 0).value_percent

    def over(text: str | None) -> float | None:
        return None if text is None else truth[space.parse(text).key] / limit_ms - 1.0

    under = [one for one in outcome.trials if one.phase is TrialPhase.SEARCH and _reads_under(one, limit_ms)]
    unconfirmed = max(under, key=lambda one: one.accuracy or 0.0).architecture if under else None
    behind = None
    if outcome.found is not None:
        members = canonical_members(space, 100_000) or ()
        keeping = [one for one in members if truth[one.key] <= limit_ms]
        best = max(exact.evaluate(one, 0).value_percent for one in keeping)
        behind = best - accuracy(outcome.found)
    return Kept(task.device.name, over(outcome.found), over(unconfirmed), behind)


def _reads_under(trial: Trial, limit_ms: float) -> bool:
    return any(
        one.latency_ms is not None and one.latency_ms.value < limit_ms for one in trial.readings.values()
    )


def _show(
    name: str,
    value: float | None,
    unit: str,
    setting: Mapping[str, object],
    options: argparse.Namespace,
) -> None:
    is_peer = name == "caps_kept" and setting["device"] == "all"
    line = {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": f"{_PEER}, of {_HELP_CELLS}" if is_peer else None,
        "peer_value": _HELP_KEPT if is_peer else None,
        "setting": setting,
    }
    text = f"{setting['device']!s:16s} {name:20s} {value} {unit} of {setting['searches']}"
    print(json.dumps(line) if options.json else text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--macro-csv", type=Path, help="columns arch,latency_ms; without it phones only")
    parser.add_argument(
        "--phones", default=",".join(_PHONES), help="columns of NAS-Bench-201's latencies, with commas"
    )
    parser.add_argument("--relative", action="store_true", help="caps as --latency-drop, not in milliseconds")
    parser.add_argument("--noise", type=float, default=0.02, help="relative, of one run")
    parser.add_argument("--weather", type=float, default=0.0, help="relative, of one measurement")
    parser.add_argument("--budget", type=int, default=40, help="evaluations of a search")
    parser.add_argument("--seeds", type=int, default=2, help="searches for each device and cap")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
