"""Whether a search gives up a latency cap that some network keeps, and how soon one that none keeps.

    FLEETNAS_DATA=... python benchmarks/hopeless_caps.py --json

Played devices (``played_searches.py``): four phones of NAS-Bench-201, and a made-up CPU of NAS-Bench-Macro, where a
network takes .8 ms and 10 ms times its share of the most MACs, times a factor of its own of 5 % spread. Runs have
noise of 2, 4 or 6 %, measurements weather of 0, 3 or 6 %. A cap that 1, 2 or 5 networks keep (more where a phone
counts whole milliseconds) lies halfway between the last of them and the next one: to end early is a false alarm. One
of 98, 90, 70 or 50 % of the fastest network's latency is hopeless: counted is in how many searches that is said, and
after how many networks. A search has 60 evaluations, of which 54 search; everything is drawn for each search.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from heapq import nsmallest
from random import Random

from played_searches import Played, Sky, phones, play_search, remembering

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import TrialPhase
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.cost import macs

_KEEPING = (1, 2, 5)
_SHARES = (0.98, 0.9, 0.7, 0.5)
_NOISES = (0.02, 0.04, 0.06)
_WEATHERS = (0.0, 0.03, 0.06)
_BUDGET = 60


@dataclass(frozen=True, slots=True)
class Task:
    """One search.

    Attributes:
        cap: What it is, in words.
    """

    device: Played
    cap: str
    limit_ms: float
    sky: Sky
    strategy: str
    seed: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went.

    Attributes:
        after: Networks that were measured before the search gave the cap up; None: it did not.
        found: Whether it has an answer that keeps the cap in truth.
    """

    task: Task
    after: int | None
    found: bool


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    devices = [*phones(options.phones), _made_up_cpu()]
    numbers = range(options.first, options.first + options.searches)
    tasks = [
        _task(devices, options.strategies.split(","), number, kept=kept)
        for kept, every in ((True, 1), (False, 2))
        for number in numbers[::every]
    ]
    with ProcessPoolExecutor(options.jobs) as pool:
        ended = list(pool.map(_search, tasks))
    for cap in ("kept", *sorted({one.task.cap for one in ended})):
        _show(cap, [one for one in ended if one.task.cap.startswith(cap)], options)
    return 0


def _made_up_cpu() -> Played:
    cells = remembering("nas-bench-macro")
    members = canonical_members(cells, 100_000) or ()
    counts = {one.key: macs(cells.graph(one)) for one in members}
    most = max(counts.values())
    latency_ms = {
        key: 10.0 * (0.08 + count / most) * math.exp(0.05 * Random(key).gauss(0.0, 1.0))
        for key, count in counts.items()
    }
    return Played("made-up", cells.name, "table:nas-bench-macro:single", latency_ms)


def _task(devices: Sequence[Played], strategies: Sequence[str], number: int, *, kept: bool) -> Task:
    rng = Random(f"{number} {kept}")
    device = rng.choice(devices)
    keys = _fastest(device)
    if kept:
        count = rng.choice(_KEEPING)
        limit_ms, cap = _between(device, keys, count), f"kept by {count}"
    else:
        share = rng.choice(_SHARES)
        limit_ms, cap = share * device.latency_ms[keys[0]], f"{share:.0%} of the fastest"
    sky = Sky(rng.choice(_NOISES), rng.choice(_WEATHERS))
    return Task(device, cap, limit_ms, sky, rng.choice(strategies), number)


def _fastest(device: Played) -> list[str]:
    """Of the networks of its space, by key, those that a cap or the next one may be about, the fastest first."""
    members = canonical_members(remembering(device.space), 100_000) or ()
    return nsmallest(1_000, (one.key for one in members), key=lambda key: device.latency_ms[key])


def _between(device: Played, keys: Sequence[str], count: int) -> float:
    """A cap that the ``count`` fastest keep, or more where phones count whole milliseconds and others are as fast."""
    last_ms = device.latency_ms[keys[count - 1]]
    next_ms = next(device.latency_ms[key] for key in keys if device.latency_ms[key] > last_ms)
    return (last_ms + next_ms) / 2.0


def _search(task: Task) -> Ended:
    options = {"design_seed": str(task.seed)} if task.strategy == "predictor" else {}
    config = SearchConfig(
        f"{task.device.name}-{task.seed}",
        task.device.space,
        task.strategy,
        task.device.accuracy,
        (task.device.name,),
        max_latency_ms=task.limit_ms,
        budget=_BUDGET,
        seed=task.seed,
        strategy_options=options,
    )
    outcome = play_search(task.device, config, task.sky)
    searched = len({one.architecture for one in outcome.trials if one.phase is not TrialPhase.CONFIRM})
    space = remembering(task.device.space)
    found = (
        outcome.found is not None and task.device.latency_ms[space.parse(outcome.found).key] < task.limit_ms
    )
    return Ended(task, searched if outcome.hopeless_device else None, found)


def _show(cap: str, ended: Sequence[Ended], options: argparse.Namespace) -> None:
    after = [one.after for one in ended if one.after is not None]
    setting = {
        "cap": cap,
        "searches": len(ended),
        "found": sum(one.found for one in ended),
        "networks_until_then": statistics.median(after) if after else None,
        "strategies": options.strategies,
    }
    line = {
        "name": "false_alarms" if cap.startswith("kept") else "true_alarms",
        "value": len(after),
        "unit": "searches",
        "low": None,
        "high": None,
        "peer": None,
        "peer_value": None,
        "setting": setting,
    }
    text = f"{cap:20s} given up in {len(after)} of {len(ended)} searches, {setting}"
    print(json.dumps(line) if options.json else text, flush=True)
    for one in ended if not options.json else ():
        if one.after is not None and cap == "kept":
            print(
                f"  false: {one.task.device.name} {one.task.cap} {one.task.sky} {one.task.strategy} {one.task.seed}"
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--phones", default="samsung_a50,samsung_s7,essential_ph_1,pixel3")
    parser.add_argument("--strategies", default="predictor,random", help="comma-separated")
    parser.add_argument(
        "--searches",
        type=int,
        default=130,
        help="with a cap that some network keeps; half as many with one that none keeps",
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first search")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON line for each figure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
