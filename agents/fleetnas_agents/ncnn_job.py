"""What the native runner is told, and what it answers. Pure."""

__all__ = [
    "RunnerFiles",
    "fault_of",
    "job_text",
    "measurement_of",
    "network_files",
    "precision_of",
    "sample_input",
]

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fleetnas_agents.jobs import FaultKind, Job, MeasureError
from fleetnas_latency.measurement import (
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    RunSeries,
    StopReason,
    judge,
)
from fleetnas_latency.statistics import estimate
from fleetnas_search_spaces.errors import FleetNASError
from fleetnas_search_spaces.operators import Precision

_WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
_INPUT_SEED = 0  # as the host's runtimes: one input, so that digests compare
_SAMPLING_FIELDS = (
    "level", "relative_half_width", "min_run_count", "max_run_count", "min_round_count", "min_duration_s",
    "max_duration_s", "warmup_min_s", "warmup_cap_s", "warmup_tolerance", "anchor_share", "round_duration_s",
    "tick_count", "thread_count",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunnerFiles:
    """Paths on the device.

    Attributes:
        candidate, anchor: Network and weights; no anchor: None.
        parts: By the name that a ``.weights`` list uses.
        lock: A file that the runner holds while it measures, for two agents may share a device.
    """

    candidate: tuple[str, str]
    anchor: tuple[str, str] | None
    input: str
    parts: Mapping[str, str]
    lock: str = ""


def network_files(job: Job, entry_file: str) -> tuple[str, str]:
    """Names of a network's two files among the job's.

    Raises:
        MeasureError: The job brings something else than an ncnn network.
    """
    if not entry_file.endswith(".param"):
        raise MeasureError(
            FaultKind.MODEL,
            f"this device runs ncnn networks (NAME.param), the job brings '{entry_file}': export for it.",
        )
    names = {one.path for one in job.files}
    stem = entry_file.removesuffix(".param")
    for weights in (f"{stem}.weights", f"{stem}.bin"):
        if weights in names:
            return entry_file, weights
    raise MeasureError(
        FaultKind.MODEL, f"the job brings '{entry_file}' without '{stem}.weights' or '{stem}.bin'."
    )


def precision_of(param_text: str) -> Precision:
    """int8 when a layer with weights scales integers (its parameter 8), else fp32."""
    for line in param_text.splitlines()[2:]:
        kind, *words = line.split() or [""]
        if kind in _WEIGHTED and any(word.startswith("8=") and word != "8=0" for word in words):
            return Precision.INT8
    return Precision.FP32


def sample_input(param_text: str) -> bytes:
    """Seeded noise of the size that the network's Input layer names, float32, channel by channel.

    Raises:
        MeasureError: It names none.
    """
    for line in param_text.splitlines()[2:]:
        words = line.split()
        if words[:1] == ["Input"]:
            sizes = dict(word.split("=") for word in words[2:] if word[:2] in ("0=", "1=", "2="))
            if set(sizes) == {"0", "1", "2"} and all(one.isdigit() for one in sizes.values()):
                shape = [int(sizes[axis]) for axis in "210"]
                noise = np.random.default_rng(_INPUT_SEED).standard_normal((1, *shape))
                return noise.astype("<f4").tobytes()
    raise MeasureError(FaultKind.MODEL, "the network does not say the size of its input: export it again.")


def job_text(files: RunnerFiles, plan: Plan, cores: tuple[int, ...], limit_s: float) -> str:
    """The runner's job file, see ``agents/runner/src/job.h``."""
    lines = ["fleetnas-job 2", f"candidate {' '.join(files.candidate)}", f"input {files.input}"]
    if files.anchor is not None:
        lines.append(f"anchor {' '.join(files.anchor)}")
    lines += [f"file {name} {path}" for name, path in sorted(files.parts.items())]
    if files.lock:
        lines.append(f"lock {files.lock}")
    if cores:
        lines.append(f"cores {','.join(map(str, cores))}")
    lines += [f"limit_s {math.ceil(limit_s)}", f"series {plan.statistic.series}"]
    lines.append(f"quantile {plan.statistic.quantile!r}")
    lines += [f"{name} {getattr(plan, name)!r}" for name in _SAMPLING_FIELDS]
    return "\n".join([*lines, ""])


def measurement_of(answer: str, plan: Plan, facts: Mapping[str, str]) -> Measurement:
    """Judges the runner's ``result`` line.

    Args:
        facts: What the agent saw around the runs, beside what the runner saw.

    Raises:
        MeasureError: It is no result: whoever wrote it, a crashing runner for one, cannot be believed.
    """
    try:
        content = json.loads(answer)
        raw = _raw(content, plan)
        digest = tuple(float(part) for part in content["digest"])
        seen = _facts(content["before"], content["after"])
        evidence = Evidence(tuple(sorted((seen | dict(facts)).items())), digest)
        return judge(raw, plan, evidence)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise MeasureError(FaultKind.CRASH, f"the runner sent a broken result: {error}") from error
    except FleetNASError as error:
        raise MeasureError(FaultKind.CRASH, f"the runner's result cannot be judged: {error}") from error


def fault_of(line: str) -> MeasureError:
    """What a ``fault KIND MESSAGE`` line says, without its first word."""
    kind, _, message = line.partition(" ")
    known = kind if kind in FaultKind.__members__.values() else FaultKind.CRASH
    return MeasureError(FaultKind(known), message or "the runner gave up without a reason")


def _raw(content: Mapping[str, Any], plan: Plan) -> RawMeasurement:
    candidate = _series(content["candidate"])
    tick_ms = float(content["tick_ns"]) / 1e6
    spans = [tick_ms, *(float(content[name]) for name in ("warmup_duration_s", "sampling_duration_s"))]
    if not all(math.isfinite(one) and one >= 0.0 for one in spans):
        raise ValueError(f"a tick or a duration among {spans} is none")
    return RawMeasurement(
        candidate=candidate,
        anchor=_series(content["anchor"]),
        warmup_duration_s=float(content["warmup_duration_s"]),
        warmup_run_count=int(content["warmup_run_count"]),
        warmup_steady=bool(content["warmup_steady"]),
        sampling_duration_s=float(content["sampling_duration_s"]),
        tick_ms=tick_ms,
        stop_reason=_stop_reason(candidate, StopReason(content["stop_reason"]), plan, tick_ms),
    )


def _series(content: Mapping[str, Any]) -> RunSeries:
    inner_count = int(content["inner_count"])
    wall, cpu = (_milliseconds(content[name], inner_count) for name in ("wall_ns", "cpu_ns"))
    rounds = tuple(int(one) for one in content["rounds"])
    if not len(wall) == len(cpu) == len(rounds):
        raise ValueError(f"{len(wall)} wall times, {len(cpu)} CPU times, {len(rounds)} rounds")
    return RunSeries(wall, cpu, rounds, inner_count)


def _milliseconds(values_ns: list[int], inner_count: int) -> tuple[float, ...]:
    return tuple(int(one) / inner_count / 1e6 for one in values_ns)


def _stop_reason(candidate: RunSeries, said: StopReason, plan: Plan, tick_ms: float) -> StopReason:
    """The runner's word, unless the runs themselves say that they did not converge."""
    samples = candidate.samples(plan.statistic)
    if said is not StopReason.CONVERGED or not samples:
        return said
    found = estimate(samples, plan.statistic.quantile, plan.level, tick_ms / candidate.inner_count)
    narrow = found.level >= plan.level and found.relative_half_width <= plan.relative_half_width * (
        1.0 + 1e-9
    )
    return said if narrow else StopReason.DURATION_CAP


def _facts(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    changed = {f"{name}_before": str(value) for name, value in before.items() if after.get(name) != value}
    return changed | {name: str(value) for name, value in after.items()}
