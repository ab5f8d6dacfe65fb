"""A device that answers from a table.

What it reports is labelled ``stand_in="replay"`` wherever it is shown.
"""

__all__ = ["ReplayDriver"]

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fleetnas_agents.drivers.replay.faults import DeviceFaults, FaultName
from fleetnas_agents.drivers.replay.networks import architecture_of
from fleetnas_agents.drivers.replay.played_batch import PlayedDevice
from fleetnas_agents.drivers.replay.tables import ReplayTable
from fleetnas_agents.jobs import DeviceDescription, FaultKind, Job, MeasureError
from fleetnas_latency.anchored_batch import REPEAT_LIMIT
from fleetnas_latency.measurement import (
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    RunSeries,
    in_one,
    judge,
)
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target

_ROUNDS = 10
_RUNS_A_ROUND = 6
_DIGEST = (1.0, 2.0, 3.0)
_WRONG_DIGEST = (9.0, 9.0, 9.0)


def _unseen(event: str, measurement: str, fencing_token: int, detail: str = "") -> None:
    """Where nobody keeps a trace."""


class ReplayDriver:
    """Answers with the table's latency of the architecture that the model file names in its metadata.

    The noise of a run is log-normal and depends on the seed and the measurement's name alone, so that the same
    search gets the same answers, whoever was killed in between.

    Args:
        noise: Standard deviation of a run's log latency.
        pause_s: How long a measurement takes.
        trace: Hears of each begin and end.
    """

    def __init__(
        self,
        table: ReplayTable,
        *,
        noise: float = 0.01,
        pause_s: float = 0.0,
        seed: int = 0,
        labels: tuple[tuple[str, str], ...] = (),
        faults: DeviceFaults | None = None,
        trace: Callable[..., None] = _unseen,
    ) -> None:
        self._table = table
        self._noise = noise
        self._pause_s = pause_s
        self._seed = seed
        self._labels = labels
        self._faults = faults or DeviceFaults({})
        self._trace = trace

    def describe(self) -> DeviceDescription:
        targets = tuple(self._target(one) for one in Statistic)
        return DeviceDescription(self._table.device_model, "replay", targets, self._labels, batches=True)

    async def measure(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        lease = job.lease
        self._trace("begin", lease.measurement, lease.fencing_token)
        try:
            return await self._play(job, folder)
        finally:
            self._trace("end", lease.measurement, lease.fencing_token)

    async def close(self) -> None:
        return None

    async def _play(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        await self._break_down(job)
        await asyncio.sleep(self._pause_s)
        candidate, anchor = job.paths(folder)
        rng = random.Random(f"{self._seed or ''}{job.lease.measurement}/{job.entry_file}")
        if job.companion_files:
            result = await asyncio.to_thread(self._play_batch, job, folder, rng)
            return result, self._target(job.plan.statistic)
        raw = RawMeasurement(
            candidate=self._series(candidate, rng),
            anchor=self._series(anchor, rng) if anchor is not None else RunSeries(),
            sampling_duration_s=self._pause_s,
        )
        return judge(raw, job.plan, self._evidence()), self._target(job.plan.statistic)

    def _play_batch(self, job: Job, folder: Path, rng: random.Random) -> Measurement:
        device = PlayedDevice(self._noise, rng, self._faults.batch_drifts(1 + REPEAT_LIMIT))
        candidates_ms = [self._latency_ms(folder / one) for one in job.entry_files]
        _, anchor = job.paths(folder)
        raws, drift = device.measure(
            candidates_ms, self._latency_ms(anchor) if anchor is not None else None, job.plan
        )
        if self._faults.size(FaultName.THROTTLE) is None:
            self._faults.speed *= device.speed
        evidence = self._evidence()
        if drift is not None:
            facts = tuple(sorted((dict(evidence.facts) | drift.facts()).items()))
            evidence = replace(evidence, facts=facts, anchor_drift=drift)
        return in_one([judge(one, job.plan, evidence) for one in raws])

    def _latency_ms(self, model: Path) -> float:
        return self._table.lookup(architecture_of(model.read_bytes())) * self._faults.speed

    async def _break_down(self, job: Job) -> None:
        """What ends a measurement before it has a result."""
        if self._faults.size(FaultName.CRASH) is not None:
            raise MeasureError(FaultKind.CRASH, "the runtime's process ended with signal 11 (played).")
        hang_s = self._faults.size(FaultName.HANG)
        if hang_s is None:
            return
        limit_s = min(job.silence_s, job.total_s)
        await asyncio.sleep(min(hang_s, limit_s))
        if hang_s >= limit_s:
            text = f"the runtime gave no sign of life for {limit_s:g} s (played); it was killed."
            raise MeasureError(FaultKind.CRASH, text)

    def _evidence(self) -> Evidence:
        facts = (("stand_in", "replay"),)
        if self._faults.size(FaultName.WRONG_RESULT) is None:
            return Evidence(facts)
        return Evidence(facts, digest=_WRONG_DIGEST, reference_digest=_DIGEST)

    def _series(self, model: Path, rng: random.Random) -> RunSeries:
        latency_ms = self._latency_ms(model)
        slower = self._faults.size(FaultName.THROTTLE) or 0.0
        runs, rounds = [], []
        for index in range(_ROUNDS):
            factor = 1.0 + slower if index >= _ROUNDS // 2 else 1.0
            for _ in range(_RUNS_A_ROUND):
                runs.append(latency_ms * factor * math.exp(rng.gauss(0.0, self._noise)))
                rounds.append(index)
        return RunSeries(wall_ms=tuple(runs), cpu_ms=tuple(runs), rounds=tuple(rounds))

    def _target(self, statistic: Statistic) -> Target:
        plan = Plan()
        return Target(
            device_model=self._table.device_model,
            runtime="replay",
            runtime_version="1",
            thread_count=plan.thread_count,
            statistic=statistic,
            stand_in="replay",
        )
