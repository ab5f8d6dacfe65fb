"""Whole searches by the product's own loop on played, noisy devices, for benchmarks that know the truth.

Only the fleet is played, in this process: every run of a network takes its latency in a table times log-normal
noise, all runs of one measurement times a factor of that measurement (weather: the device is warmer or busier than
last time).
"""

__all__ = [
    "Played",
    "Sky",
    "macro_device",
    "phones",
    "play_search",
    "remembering",
    "source",
]

import csv
import gzip
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from sqlite_utils import Database
from statistics_sim import Case
from statistics_sim import Device as SimulatedDevice

from fleetnas_controller.asking import default_statistic, measurement_plan
from fleetnas_controller.jobs import (
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_controller.search import Search, SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.trial_store import SqliteTrials
from fleetnas_controller.trials import SearchRecord, Trial
from fleetnas_latency.measurement import Evidence, judge, measure
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_training.accuracy import AccuracySource
from fleetnas_training.accuracy_source import accuracy_source

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Played:
    """A device and what its searches are about.

    Attributes:
        latency_ms: The truth, by architecture key.
    """

    name: str
    space: str
    accuracy: str
    latency_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sky:
    """How unsteady the device is.

    Attributes:
        noise: Standard deviation of the logarithm of one run.
        weather: Of a whole measurement, the same for the candidate and the anchor beside it.
    """

    noise: float
    weather: float


class _PlayedFleet:
    """A ``MeasuringFleet`` that answers at once."""

    def __init__(self, device: Played, sky: Sky, seed: int) -> None:
        self._device, self._seed = device, seed
        self._space = remembering(device.space)
        self._case, self._weather = Case("played", sigma=sky.noise), sky.weather
        self._records: dict[str, MeasurementRecord] = {}

    def create_measurement(self, request: MeasurementRequest) -> MeasurementRecord:
        seed = Random(f"{self._seed} {request.measurement_id}").getrandbits(64)
        rng = np.random.default_rng(seed)
        factor = float(np.exp(self._weather * rng.standard_normal()))
        device = SimulatedDevice(self._case, rng)
        candidate, anchor = (
            device.load(factor * self._device.latency_ms[self._key(text)])
            for text in (request.entry_file, request.anchor_entry_file)
        )
        result = judge(measure(candidate, anchor, request.plan, device.clock), request.plan, Evidence())
        target = Target(self._device.name, "replay", "1", stand_in="replay")
        name = f"measurements/{request.measurement_id}"
        record = MeasurementRecord(
            name, request, MeasurementState.DONE, 0.0, 0.0, target=target, result=result
        )
        self._records[name] = record
        return record

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]:
        return tuple(self._records[name] for name in names)

    def _key(self, text: str) -> str:
        return self._space.parse(text).key


class _Texts:
    """An architecture's text stands for its file."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        text = self._space.format(architecture)
        return text, (ModelFile(text, "0" * 64, 1),)


class _Nobody:
    """An observer that looks away."""

    def proposed(self, trial: Trial) -> None: ...

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None: ...

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None: ...


def play_search(device: Played, config: SearchConfig, sky: Sky) -> SearchOutcome:
    """A search on one device, from its seed alone."""
    space = remembering(device.space)
    trials = SqliteTrials(Database(memory=True))
    trials.create_search(SearchRecord(config, 0.0))
    return Search(
        config,
        space=space,
        accuracy=source(device.accuracy, config.seed),
        make_strategy=lambda problem: create_strategy(
            config.strategy, problem, budget=config.searching_count, options=config.strategy_options
        ),
        trials=trials,
        fleet=_PlayedFleet(device, sky, config.seed),
        files=_Texts(space),
        plan_of=lambda name, phase: measurement_plan(default_statistic(None), phase),
        selectors={device.name: Selector(device=device.name)},
        observer=_Nobody(),
        now_s=time.time,
    ).run(_AT_ONCE)


def phones(names: str) -> list[Played]:
    """Columns of NAS-Bench-201's published latencies, with commas between; in the folder ``FLEETNAS_DATA``."""
    folder = Path(os.environ.get("FLEETNAS_DATA", "")) / "nasbench201"
    with gzip.open(folder / "accuracy.csv.gz", "rt") as file:
        edges = {row["index"]: row["edges"] for row in csv.DictReader(file)}
    cells = space_of("nas-bench-201")
    with gzip.open(folder / "latency_ms.csv.gz", "rt") as file:
        rows = [(cells.parse(edges[row["index"]]).key, row) for row in csv.DictReader(file)]
    return [
        Played(one, "nas-bench-201", "table:nas-bench-201", {key: float(row[one]) for key, row in rows})
        for one in names.split(",")
        if one
    ]


def macro_device(path: Path) -> Played:
    """A CPU's NAS-Bench-Macro: columns ``arch,latency_ms`` (``macro_table.py``), one noisy training an evaluation."""
    macro = space_of("nas-bench-macro")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    latency = {macro.canonical(macro.parse(row["arch"])).key: float(row["latency_ms"]) for row in rows}
    return Played("cpu", "nas-bench-macro", "table:nas-bench-macro:single", latency)


@cache
def remembering(name: str) -> SearchSpace:
    """A space that makes each graph once: its searches here would spend most of their time on the same 5,000."""
    space = space_of(name)
    space.graph = cache(space.graph)
    return space


@cache
def source(text: str, seed: int) -> AccuracySource:
    """An accuracy source, read once."""
    return accuracy_source(text, seed=seed)
