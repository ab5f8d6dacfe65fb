"""Every finished measurement goes into the latency table that all searches share."""

__all__ = ["TableRecorder"]

from collections.abc import Callable, Sequence

from fleetnas_controller.jobs import MeasurementRecord
from fleetnas_controller.trials import Trial
from fleetnas_latency.fitting import fit, learned_entries
from fleetnas_latency.repository import LatencyRepository, Observation, ObservationKind
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError


class TableRecorder:
    """An ``Observer`` of a search.

    Args:
        run: Name of the search; makes its measurement ids unique in the table.
        now_s: Seconds since 1970.
    """

    def __init__(
        self, table: LatencyRepository, space: SearchSpace, run: str, now_s: Callable[[], float]
    ) -> None:
        self._table = table
        self._space = space
        self._run = run
        self._now_s = now_s
        self._targets: set[Target] = set()

    def proposed(self, trial: Trial) -> None:
        """Nothing is known yet."""

    def repeated(self, trial: Trial, record: MeasurementRecord) -> None:
        """Comes again among the records of the trial, when that ends."""

    def finished(self, trial: Trial, records: Sequence[MeasurementRecord]) -> None:
        key = self._space.canonical(self._space.parse(trial.architecture)).key
        anchor_key = self._space.canonical(self._space.reference).key
        found = [one for one in (self._observation(key, anchor_key, record) for record in records) if one]
        self._table.put_observations(found)
        self._targets |= {one.target for one in found}

    def learn(self) -> None:
        """Fits the table's entries of every target that was measured anew."""
        for target in sorted(self._targets):
            model = fit(self._table, target, self._space)
            try:
                self._table.put_entries(target, self._space.name, learned_entries(model, self._now_s()))
            except FailedPreconditionError:
                continue  # nothing of this target had the verdict ok

    def _observation(self, key: str, anchor_key: str, record: MeasurementRecord) -> Observation | None:
        if record.result is None or record.target is None:
            return None
        result = record.result
        entry = next(one for one in record.request.files if one.path == record.request.entry_file)
        return Observation(
            measurement_id=f"{self._run}/{record.request.measurement_id}",
            target=record.target,
            kind=ObservationKind.NETWORK,
            key=key,
            latency=result.estimate,
            verdict=result.verdict,
            created_time=record.update_time,
            space=self._space.name,
            ratio=result.ratio,
            anchor_key=anchor_key if result.anchor else "",
            anchor_ms=result.anchor.value if result.anchor else 0.0,
            agent=record.device.removeprefix("devices/"),
            model_sha256=entry.sha256,
        )
