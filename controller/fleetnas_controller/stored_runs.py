"""Finished runs, read again: their document, their report, picks of their fronts."""

__all__ = ["StoredRun", "open_run", "stored_result"]

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fleetnas_controller.caps import limits, soft_limits
from fleetnas_controller.evaluation import searched_accuracy
from fleetnas_controller.outcomes import outcome_of, scaled_readings
from fleetnas_controller.picks import choose_picks
from fleetnas_controller.ranking import front_observed
from fleetnas_controller.results import network_of
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.storage import open_database, storage_errors
from fleetnas_controller.strategies.strategy import CapKind, Cost
from fleetnas_controller.trial_store import SqliteTrials
from fleetnas_controller.warm_start import usable_here
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.registry import space as space_of


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A finished run.

    Attributes:
        result: Its document, as ``fleetnas search --json`` printed it.
    """

    folder: RunFolder
    config: SearchConfig
    outcome: SearchOutcome
    result: Mapping[str, Any]

    def with_picks(self, count: int) -> "StoredRun":
        """The same with ``picks`` in its document: by device, ``count`` of the front of accuracy and latency.

        Raises:
            InvalidArgumentError: ``count`` is under 1.
            FailedPreconditionError: No network of the run keeps the caps.
        """
        picks = {device: self._picks(device, count) for device in self.config.devices}
        return replace(self, result={**self.result, "picks": picks})

    def write_report(self) -> None:
        """Draws the report again."""
        from fleetnas_controller.report.write import write_report

        space, accuracy = space_of(self.config.space), searched_accuracy(self.config)
        write_report(self.folder, space, accuracy, self.outcome, self.result)

    def _picks(self, device: str, count: int) -> list[dict[str, Any]]:
        space = space_of(self.config.space)
        outcomes = [
            outcome_of(space, one, scaled_readings(one, self.outcome.reference_ms))
            for one in self.outcome.trials
        ]
        front = front_observed(outcomes, self.outcome.caps, (Cost(CapKind.LATENCY_MS, device),))
        if not front:
            raise FailedPreconditionError(
                f"no network of '{self.config.name}' keeps the caps with a latency on '{device}': nothing to pick."
            )
        members = {one.architecture.key: one.architecture for one in outcomes}
        architectures = [members[key] for key in front]
        networks = [network_of(self.outcome, space.format(one)) for one in architectures]
        points = np.array([[-one["accuracy"], one["latency_ms"][device]["median"]] for one in networks])
        return [
            {
                "role": "knee" if one.is_knee else "medoid",
                "stands_for": one.stands_for,
                **networks[one.row],
            }
            for one in choose_picks(points, architectures, count)
        ]


def open_run(runs_dir: Path, name: str) -> StoredRun:
    """Reads a finished run; errors as ``stored_result``."""
    result = stored_result(runs_dir, name)
    folder = RunFolder.of(runs_dir, name)
    with storage_errors(folder.store):
        trials = SqliteTrials(open_database(folder.store))
        config, every = trials.search(name).config, usable_here(trials.trials(name))
    readings = every[0].readings
    reference_ms = {device: one.latency_ms.value for device, one in readings.items() if one.latency_ms}
    found = result["found"]["architecture"] if result["found"] else None
    caps, soft = limits(config, reference_ms), soft_limits(config)
    outcome = SearchOutcome(found, (), caps, reference_ms, every, soft=soft)
    return StoredRun(folder, config, outcome, result)


def stored_result(runs_dir: Path, name: str) -> dict[str, Any]:
    """The document of a finished run.

    Raises:
        NotFoundError: No such run.
        FailedPreconditionError: It is not finished.
    """
    folder = RunFolder.of(runs_dir, name)
    folder.require()
    with storage_errors(folder.store):
        result = SqliteTrials(open_database(folder.store)).search(name).result
    if not result:
        raise FailedPreconditionError(
            f"the search '{name}' is not finished; go on with: --name {name} --resume"
        )
    return dict(result)
