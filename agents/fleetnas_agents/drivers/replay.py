"""Devices played from a table of latencies: the fleet's real protocol without the hardware.

What it reports is labelled ``stand_in="replay"`` wherever it is shown.
"""

__all__ = ["ReplayDriver"]

import asyncio
import csv
import gzip
import math
import random
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetnas_agents.jobs import DeviceDescription, FaultKind, Job, MeasureError
from fleetnas_latency.measurement import (
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    RunSeries,
    judge,
)
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

_ROUNDS = 10
_RUNS_A_ROUND = 6
_ENCODING = "utf-8-sig"  # spreadsheets begin a file with a mark
_ARCHITECTURE = b"architecture"


class ReplayDriver:
    """Answers with the table's latency of the architecture that the model file names in its metadata.

    The noise of a run is log-normal and depends on the measurement's name alone, so that the same search gets
    the same answers, whoever was killed in between.

    Args:
        table: CSV with the columns ``arch`` (choices as digits or with separators) and ``latency_ms``.
        noise: Standard deviation of a run's log latency.
        pause_s: How long a measurement takes.

    Raises:
        NotFoundError, InvalidArgumentError: No such file, or not such a table.
    """

    def __init__(
        self,
        table: Path,
        *,
        noise: float = 0.01,
        pause_s: float = 0.0,
        labels: tuple[tuple[str, str], ...] = (),
    ) -> None:
        for name, value in (("--noise", noise), ("--pause-s", pause_s)):
            if not 0.0 <= value < math.inf:
                raise InvalidArgumentError(f"{name} is {value:g}; give a number from zero on.")
        self._latency_ms = _read(table)
        self._model = table.name.partition(".")[0]
        self._noise = noise
        self._pause_s = pause_s
        self._labels = labels

    def describe(self) -> DeviceDescription:
        targets = tuple(self._target(one) for one in Statistic)
        return DeviceDescription(self._model, "replay", targets, self._labels)

    async def measure(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        await asyncio.sleep(self._pause_s)
        candidate, anchor = job.paths(folder)
        rng = random.Random(f"{job.lease.measurement}/{job.entry_file}")
        raw = RawMeasurement(
            candidate=self._series(candidate, rng),
            anchor=self._series(anchor, rng) if anchor is not None else RunSeries(),
            sampling_duration_s=self._pause_s,
        )
        return judge(raw, job.plan, Evidence((("stand_in", "replay"),))), self._target(job.plan.statistic)

    async def close(self) -> None:
        return None

    def _series(self, model: Path, rng: random.Random) -> RunSeries:
        latency_ms = self._latency(model)
        rounds = [index for index in range(_ROUNDS) for _ in range(_RUNS_A_ROUND)]
        runs = tuple(latency_ms * math.exp(rng.gauss(0.0, self._noise)) for _ in rounds)
        return RunSeries(wall_ms=runs, cpu_ms=runs, rounds=tuple(rounds))

    def _latency(self, model: Path) -> float:
        key = _architecture(model.read_bytes())
        if key not in self._latency_ms:
            raise MeasureError(FaultKind.MODEL, f"the table {self._model} has no architecture '{key}'.")
        return self._latency_ms[key]

    def _target(self, statistic: Statistic) -> Target:
        plan = Plan()
        return Target(
            device_model=self._model,
            runtime="replay",
            runtime_version="1",
            thread_count=plan.thread_count,
            statistic=statistic,
            stand_in="replay",
        )


def _architecture(model: bytes) -> str:
    """The choices in an ONNX file's ``architecture`` metadata, as digits with commas between.

    Read without the onnx package, which an agent does not need: the entry is a protobuf message of two strings,
    key then value, each a tag, a length of one byte (or two) and the text.
    """
    start = model.rfind(_ARCHITECTURE)
    at = start + len(_ARCHITECTURE)
    if start < 0 or at + 2 > len(model) or model[at] != 0x12:
        raise MeasureError(
            FaultKind.MODEL, "the model file names no architecture; FleetNAS's own exporter does."
        )
    length, at = model[at + 1], at + 2
    if length >= 0x80:
        length, at = (length & 0x7F) | (model[at] << 7), at + 1
    return model[at : at + length].decode("utf-8", errors="replace").rpartition("/")[2]


def _read(table: Path) -> Mapping[str, float]:
    try:
        with (
            gzip.open(table, "rt", encoding=_ENCODING)
            if table.suffix == ".gz"
            else table.open(encoding=_ENCODING) as file
        ):
            found = dict(_rows(csv.DictReader(file)))
    except FileNotFoundError:
        raise NotFoundError(f"no table '{table}' to replay. Check the path.") from None
    except (
        OSError,
        EOFError,
        zlib.error,
        csv.Error,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise InvalidArgumentError(
            f"'{table}' is no latency table: a CSV with the columns arch and latency_ms is ({error})."
        ) from error
    if not found:
        raise InvalidArgumentError(
            f"'{table}' holds no latency: give a CSV with the columns arch,latency_ms."
        )
    return found


def _rows(reader: "csv.DictReader[str]") -> Iterator[tuple[str, float]]:
    for row in reader:
        digits, latency_ms = row["arch"].strip(), float(row["latency_ms"])
        if not 0.0 < latency_ms < math.inf:
            raise ValueError(f"line {reader.line_num}: '{digits}' takes {latency_ms:g} ms")
        yield ",".join(digits) if digits.isdigit() else digits, latency_ms
