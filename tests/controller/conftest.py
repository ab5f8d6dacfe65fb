"""Searches over the tiny space on a fleet that answers at once, for tests of the search loop."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.jobs import (
    MeasurementRecord,
    MeasurementRequest,
    MeasurementState,
    ModelFile,
    Selector,
)
from fleetnas_controller.search import Search, SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.storage import open_database
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Problem, Strategy
from fleetnas_controller.trial_store import SqliteTrials
from fleetnas_controller.trials import SearchRecord, Trial
from fleetnas_controller.warm_start import read_earlier
from fleetnas_latency.measurement import Measurement, RawMeasurement, RunSeries, Verdict
from fleetnas_latency.plan import Plan
from fleetnas_latency.statistics import Estimate, Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import UnavailableError
from fleetnas_training.accuracy import Accuracy, AccuracySource, CurvePoint


class AnsweringFleet:
    """Measures at once, without noise: 1 ms and 0.3 ms for each choice, times the device's factor.

    Args:
        factors: By device, how much slower it is; a device is a target of its own.
        gone_after: Measurements after which the fleet is gone; None: never.
    """

    def __init__(self, space: SearchSpace, factors: dict[str, float], gone_after: int | None = None) -> None:
        self._space = space
        self._factors = factors
        self._left = gone_after
        self.asked: list[str] = []
        self._records: dict[str, MeasurementRecord] = {}

    def create_measurement(self, request: MeasurementRequest) -> MeasurementRecord:
        if self._left is not None:
            if self._left == 0:
                raise UnavailableError("the fleet is gone.")
            self._left -= 1
        self.asked.append(request.entry_file)
        device = request.selector.device
        value, anchor = (
            self._estimate(one, device) for one in (request.entry_file, request.anchor_entry_file)
        )
        ratio = Estimate(value.value / anchor.value, value.low / anchor.value, value.high / anchor.value)
        result = Measurement(
            RawMeasurement(RunSeries()),
            Statistic.WALL_MEDIAN,
            value,
            (),
            Verdict.OK,
            "made up",
            anchor,
            ratio,
        )
        record = MeasurementRecord(
            f"measurements/{request.measurement_id}", request, MeasurementState.DONE, 0.0, 0.0,
            target=Target(device, "made-up", "1"), result=result,
        )  # fmt: skip
        self._records[record.name] = record
        return record

    def wait_any(self, names: Sequence[str], timeout_s: float) -> tuple[MeasurementRecord, ...]:
        return tuple(self._records[name] for name in names)

    def _estimate(self, text: str, device: str) -> Estimate:
        value = (1.0 + 0.3 * sum(self._space.parse(text).choices)) * self._factors[device]
        return Estimate(value, 0.99 * value, 1.01 * value)


class TextFiles:
    """An architecture's text stands for its file."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def upload(self, architecture: Architecture) -> tuple[str, tuple[ModelFile, ...]]:
        text = self._space.format(architecture)
        return text, (ModelFile(text, "0" * 64, 1),)


class MadeUpAccuracy:
    """Exact, the same for every search of one ``name``."""

    noisy = False

    def __init__(self, name: str = "made up") -> None:
        self.name = name

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        first, second, third = architecture.choices
        value = 90.0 + first - 0.5 * (second - 2) ** 2 + 0.3 * third
        return Accuracy(value, 0.0, "formula", self.name)


class MadeUpCurves(MadeUpAccuracy):
    """The same after 9 epochs; after 1 and 3 of them 30 and 10 points less."""

    resumable = True

    def curve(self, architecture: Architecture, draw: int) -> Generator[CurvePoint]:
        last = self.evaluate(architecture, draw)
        for epochs, less in ((1, 30.0), (3, 10.0), (9, 0.0)):
            yield CurvePoint(epochs, 9, replace(last, value_percent=last.value_percent - less))


class SilentObserver:
    """Hears and says nothing."""

    def proposed(self, trial: Trial) -> None: ...

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None: ...

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None: ...


class Searching:
    """Runs searches of the tiny space on the devices ``near`` and ``far``, which is 10 times slower.

    Args:
        runs_dir: Where their stores are; a search whose store is there goes on.
    """

    def __init__(self, space: SearchSpace, runs_dir: Path) -> None:
        self.space = space
        self.runs_dir = runs_dir

    def fleet(self, gone_after: int | None = None) -> AnsweringFleet:
        return AnsweringFleet(self.space, {"near": 1.0, "far": 10.0}, gone_after)

    def run(
        self,
        name: str,
        fleet: AnsweringFleet | None = None,
        accuracy: str | AccuracySource = "made up",
        make_strategy: Callable[[Problem], Strategy] | None = None,
        **settings: Any,
    ) -> SearchOutcome:
        """A search of 20 evaluations on ``near``, unless ``settings`` (of ``SearchConfig``) say otherwise."""
        given = {"devices": ("near",), "budget": 20, "strategy": "predictor", **settings}
        config = SearchConfig(name, self.space.name, accuracy="made up", **given)
        folder = self.runs_dir / name
        begun = (folder / "store.db").exists()
        folder.mkdir(parents=True, exist_ok=True)
        trials = SqliteTrials(open_database(folder / "store.db"))
        if not begun:
            earlier = read_earlier(config.warm_start, self.space, self.runs_dir)
            trials.create_search(SearchRecord(config, 0.0), earlier)
        return Search(
            config,
            space=self.space,
            accuracy=MadeUpAccuracy(accuracy) if isinstance(accuracy, str) else accuracy,
            make_strategy=make_strategy
            or (lambda problem: create_strategy(config.strategy, problem, budget=config.searching_count)),
            trials=trials,
            fleet=fleet or self.fleet(),
            files=TextFiles(self.space),
            plan_of=lambda device, phase: Plan(),
            selectors={device: Selector(device=device) for device in config.devices},
            observer=SilentObserver(),
            now_s=lambda: 0.0,
        ).run(2)


@pytest.fixture
def searching(tiny_space: SearchSpace, tmp_path: Path) -> Searching:
    return Searching(tiny_space, tmp_path)
