"""One session of a search: opens the run, the fleet and the table, searches, reports."""

__all__ = [
    "SearchSession",
    "SessionSettings",
    "check_config",
]

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.asking import default_statistic, device_selector, measurement_plan, named_devices
from fleetnas_controller.caps import limits, soft_limits
from fleetnas_controller.chosen_statistics import choose_statistics
from fleetnas_controller.credentials import find_credentials
from fleetnas_controller.evaluation import check_accuracy_source, searched_accuracy
from fleetnas_controller.hopeless_caps import check_exact_caps
from fleetnas_controller.jobs import Device, MeasurementRecord
from fleetnas_controller.objectives import costs, worst_accuracy_percent
from fleetnas_controller.progress import SearchProgress
from fleetnas_controller.results import document
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search import Search, SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.self_tests import SelfTests
from fleetnas_controller.storage import open_database, storage_errors
from fleetnas_controller.strategies.registry import create_strategy
from fleetnas_controller.strategies.strategy import Problem
from fleetnas_controller.table_recorder import TableRecorder
from fleetnas_controller.trial_store import SqliteTrials
from fleetnas_controller.trials import SearchRecord, Trial, TrialPhase, Trials
from fleetnas_controller.warm_start import read_earlier, start_architectures
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import (
    InvalidArgumentError,
    NotFoundError,
    near_names,
)
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_training.accuracy import AccuracySource

if TYPE_CHECKING:
    from fleetnas_controller.client import FleetClient

_CONTROLLER_PATIENCE_S = 120.0
"""A controller that is started again within this time is not noticed by a search."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a search is run; nothing here changes what it finds, on the same devices.

    Attributes:
        controller: Address of a fleet; None: an embedded one.
        data_dir: The controller's data folder, where its operator token is.
        core: The embedded agent's; None: the last.
        replay: A latency table that the embedded agent plays instead of measuring.
    """

    runs_dir: Path
    resume: bool = False
    controller: str | None = None
    data_dir: Path | None = None
    core: int | None = None
    replay: Path | None = None


class SearchSession:
    """Runs or resumes one search.

    Args:
        given: Settings of the search that the user gave; ``name`` is among them. The rest is default, or, on a
            resumed search, what is stored.
    """

    def __init__(self, given: Mapping[str, Any], settings: SessionSettings) -> None:
        self._given = given
        self._settings = settings
        self._folder = RunFolder.of(settings.runs_dir, given["name"])
        self._check_agent: Callable[[], None] = lambda: None

    def run(self, *, quiet: bool = False) -> dict[str, Any]:
        """Runs to the end.

        Returns:
            The document of ``fleetnas search --json``.

        Raises:
            FleetNASError: In every way that its children say.
        """
        # Mistakes are found before anything is made on the disk.
        if not self._settings.resume:
            config = _configured(self._given)
            check_config(config)
            read_earlier(config.warm_start, space_of(config.space), self._settings.runs_dir)
            self._check_reach(config)
        with self._folder.held(resume=self._settings.resume), storage_errors(self._folder.store):
            trials = SqliteTrials(open_database(self._folder.store))
            config = self._opened(trials)
            stored = trials.search(config.name).result
            if stored:
                return dict(stored)
            with SearchProgress(config, quiet=quiet) as progress:
                if not (config.seeks_front or limits(config, dict.fromkeys(config.devices, 1.0))):
                    progress.say("no cap is given: the most accurate network wins, however slow or large")
                return self._search(config, trials, progress)

    def _check_reach(self, config: SearchConfig) -> None:
        """What leads to the devices, before anything is begun."""
        if self._settings.controller is None:
            self._embedded_agent(config)
        elif self._settings.replay is not None:
            raise InvalidArgumentError(
                f"--replay '{self._settings.replay}' plays a table here, --controller measures elsewhere: give one."
            )
        else:
            find_credentials(self._settings.data_dir)

    def _opened(self, trials: Trials) -> SearchConfig:
        """The stored settings of a resumed search, the given ones of a new search, which are then stored."""
        if not self._settings.resume:
            config = _configured(self._given)
            earlier = read_earlier(config.warm_start, space_of(config.space), self._settings.runs_dir)
            trials.create_search(SearchRecord(config, time.time()), earlier)
            return config
        try:
            stored = trials.search(self._given["name"]).config
        except NotFoundError as error:
            raise NotFoundError(
                f"'{self._folder.path}' holds no search: it was stopped before it began, or its store is lost. "
                "Delete that folder and start again without --resume."
            ) from error
        changed = [name for name, value in self._given.items() if getattr(stored, name) != value]
        if changed:
            was = ", ".join(f"{name}={getattr(stored, name)}" for name in changed)
            raise InvalidArgumentError(
                f"the search '{stored.name}' was begun with {was}; leave that out, or start another --name."
            )
        return stored

    def _search(self, config: SearchConfig, trials: Trials, progress: SearchProgress) -> dict[str, Any]:
        from fleetnas_controller.network_files import files_for
        from fleetnas_latency.table import open_table
        from fleetnas_search_spaces.weights import WeightPool

        space, accuracy = space_of(config.space), searched_accuracy(config)
        weights = WeightPool(self._settings.runs_dir / "weights")
        table = open_table(self._settings.runs_dir / "latency.db")
        recorder = TableRecorder(
            table, space, f"{config.name}/{trials.search(config.name).create_time:.3f}", time.time
        )
        stored = trials.trials(config.name)
        progress.resumed(sum(one.order >= 0 and one.phase is not TrialPhase.EARLIER for one in stored))
        with self.open_fleet(config, progress) as (client, devices):
            chosen = choose_statistics(
                self._folder, devices, SelfTests(self._settings.runs_dir), resumed=self._settings.resume
            )
            search = Search(
                config,
                space=space,
                accuracy=accuracy,
                make_strategy=lambda problem: create_strategy(
                    config.strategy, problem, budget=config.searching_count, options=config.strategy_options
                ),
                trials=trials,
                fleet=client,
                files=files_for(devices.values(), space, weights, client.put_artifact),
                plan_of=lambda device, phase: measurement_plan(
                    chosen[device].statistic if device in chosen else default_statistic(None), phase
                ),
                selectors={device: device_selector(device) for device in config.devices},
                observer=_Observers(config.name, trials, recorder, progress),
                now_s=time.time,
                silent=lambda: self._find_out_who_is_silent(config, client, progress),
            )
            outcome = search.run(_capacity(config, client))
        recorder.learn()
        table.close()
        return self._report(config, trials, space, accuracy, outcome)

    def _find_out_who_is_silent(
        self, config: SearchConfig, client: "FleetClient", progress: SearchProgress
    ) -> None:
        """Raises UnavailableError when the search's own agent was given up; see ``_say_who_is_silent``."""
        self._check_agent()
        _say_who_is_silent(config, client, progress)

    @contextmanager
    def open_fleet(
        self, config: SearchConfig, progress: SearchProgress
    ) -> Iterator[tuple["FleetClient", dict[str, Device]]]:
        """The client of a fleet that has every device, and the devices that are named."""
        from fleetnas_controller.client import FleetClient
        from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet

        if self._settings.controller is not None:
            credentials = find_credentials(self._settings.data_dir)
            with FleetClient(
                self._settings.controller, credentials, patience_s=_CONTROLLER_PATIENCE_S
            ) as client:
                yield client, named_devices(config.devices, client)
            return
        device, arguments = self._embedded_agent(config)
        fleet = EmbeddedFleet(self._folder.path, AgentCommand(device, arguments))
        self._check_agent = fleet.check_agent
        with fleet as client:
            progress.say(f"controller on {fleet.address}, agent '{device}' is starting")
            fleet.wait_for_agent()
            yield client, named_devices(config.devices, client)

    def _embedded_agent(self, config: SearchConfig) -> tuple[str, tuple[str, ...]]:
        """Id of the embedded fleet's one device and the agent's arguments."""
        device = "host" if self._settings.replay is None else "replay"
        arguments = ["--driver", device]
        if self._settings.replay is not None:
            if not self._settings.replay.is_file():
                raise NotFoundError(f"no table '{self._settings.replay}' to replay. Check the path.")
            arguments += ["--table", str(self._settings.replay.absolute())]
        elif self._settings.core is not None:
            arguments += ["--core", str(self._settings.core)]
        unknown = [one for one in config.devices if one != device]
        if unknown == ["replay"]:
            raise InvalidArgumentError(
                f"the search '{config.name}' plays a latency table: give it with --replay TABLE.csv, on --resume too."
            )
        if unknown:
            raise NotFoundError(
                f"no device '{unknown[0]}' in the embedded fleet (devices of another want its --controller); "
                f"{near_names(unknown[0], [device])}"
            )
        return device, tuple(arguments)

    def _report(
        self,
        config: SearchConfig,
        trials: Trials,
        space: SearchSpace,
        accuracy: AccuracySource,
        outcome: SearchOutcome,
    ) -> dict[str, Any]:
        from fleetnas_controller.report.write import write_found, write_report

        if outcome.found is not None:
            write_found(self._folder, space, outcome.found)
        wall_s = trials.search(config.name).wall_s
        result = document(config, outcome, self._folder, wall_s=wall_s)
        write_report(self._folder, space, accuracy, outcome, result)
        result = document(config, outcome, self._folder, wall_s=wall_s)
        trials.finish_search(config.name, result)
        return result


class _Observers:
    """Tells progress and table, and keeps the time that the search took."""

    def __init__(self, run: str, trials: Trials, recorder: TableRecorder, progress: SearchProgress) -> None:
        self._run = run
        self._trials = trials
        self._recorder = recorder
        self._progress = progress
        self._since_s = time.monotonic()

    def proposed(self, trial: Trial) -> None:
        self._progress.proposed(trial)

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None:
        self._progress.repeated(trial, record)

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None:
        now_s = time.monotonic()
        self._trials.add_wall_s(self._run, now_s - self._since_s)
        self._since_s = now_s
        self._recorder.finished(trial, records)
        self._progress.finished(trial, records)


def _configured(given: Mapping[str, Any]) -> SearchConfig:
    defaults = {
        "space": "nas-bench-macro",
        "strategy": "predictor",
        "accuracy": "table:nas-bench-macro",
        "devices": ("host",),
    }
    return SearchConfig(**{**defaults, **given})


def check_config(config: SearchConfig) -> None:
    """Checks every name in the settings, before anything is begun.

    Raises:
        NotFoundError, InvalidArgumentError, FailedPreconditionError: One of them cannot be used.
    """
    space = space_of(config.space)
    check_accuracy_source(searched_accuracy(config), config, space)
    check_exact_caps(config, space)
    start_architectures(config, space)
    problem = Problem(
        space, costs=costs(config), worst_accuracy=worst_accuracy_percent(config), soft=soft_limits(config)
    )
    create_strategy(config.strategy, problem, budget=config.searching_count, options=config.strategy_options)
    for device in config.devices:
        device_selector(device)


def _capacity(config: SearchConfig, client: Any) -> int:
    """Trials at once: as many as the rarest kind of device has members."""
    counts = []
    for device in config.devices:
        selector = device_selector(device)
        counts.append(sum(selector.matches(one) for one in client.list_devices()))
    return max(1, min(counts))


def _say_who_is_silent(config: SearchConfig, client: Any, progress: SearchProgress) -> None:
    """Raises NotFoundError when a device that the search names was removed from the fleet."""
    for name in config.devices:
        if "=" not in name:
            device = client.get_device(name)
            progress.say(f"waiting for '{name}', which is {device.state} {device.reason}".rstrip())
