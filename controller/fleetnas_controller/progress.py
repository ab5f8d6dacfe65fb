"""Progress of a search on stderr, with the time that is left."""

__all__ = ["SearchProgress"]

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from fleetnas_controller.early_stops import curve_text
from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialState

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class SearchProgress:
    """Shows a bar on a terminal, a line for each trial elsewhere. An ``Observer`` of the search.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, config: SearchConfig, *, quiet: bool = False) -> None:
        self._config = config
        self._quiet = quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._ended = 0

    def __enter__(self) -> "SearchProgress":
        if not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True)
            columns = (
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
            self._progress.start()
            description = f"{self._config.name}"
            self._task = self._progress.add_task(description, total=self._config.budget, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str) -> None:
        """One line for people."""
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, soft_wrap=True)

    def resumed(self, finished_count: int) -> None:
        """Counts what an earlier session did."""
        self._ended = finished_count
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=finished_count)

    def proposed(self, trial: Trial) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note=f"{trial.phase} {trial.architecture}")

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None:
        if self._progress is None or self._task is None:
            return
        why = record.state if record.result is None else record.result.verdict
        note = f"{trial.phase} {trial.architecture}: {record.device.rpartition('/')[2]} {why}, measured again"
        self._progress.update(self._task, note=note)
        if not self._progress.console.is_terminal:
            self.say(note)

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None:
        self._ended += 1
        if self._progress is None or self._task is None:
            return
        self._progress.advance(self._task)
        if not self._progress.console.is_terminal:
            self.say(f"{self._ended}/{self._config.budget} {_line(trial)}")


def _line(trial: Trial) -> str:
    if trial.state is TrialState.FAILED:
        return f"{trial.phase} {trial.architecture}: failed, {trial.fault}"
    readings = []
    for device, reading in trial.readings.items():
        one = reading.latency_ms
        value = "no latency" if one is None else f"{one.value:.3f} ms +-{100 * one.relative_half_width:.1f} %"
        ratio = (
            "" if reading.ratio is None else f", {100 * (reading.ratio.value - 1):+.1f} % to the reference"
        )
        readings.append(f"{device} {value}{ratio} ({reading.verdict})")
    accuracy = "" if trial.accuracy is None else f" {trial.accuracy:.2f} % {curve_text(trial)}".rstrip()
    return f"{trial.phase} {trial.architecture}:{accuracy} {'; '.join(readings)}"
