"""What the native runner is told. Pure."""

__all__ = [
    "RunnerFiles",
    "job_text",
    "network_files",
    "precision_of",
    "sample_input",
    "weight_parts",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from fleetnas_agents.jobs import FaultKind, Job, MeasureError
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.operators import Precision

_WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
_INPUT_SEED = 0  # as the host's runtimes: one input, so that digests compare
_SAMPLING_FIELDS = (
    "level", "relative_half_width", "min_run_count", "max_run_count", "min_round_count", "min_duration_s",
    "max_duration_s", "warmup_min_s", "warmup_cap_s", "warmup_tolerance", "anchor_share", "round_duration_s",
    "tick_count", "thread_count", "drift_limit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunnerFiles:
    """Paths on the device.

    Attributes:
        candidates, anchor: Network and weights of each; no anchor: None.
        input: As long as the largest network's; the others take its beginning.
        parts: By the name that a ``.weights`` list uses.
        lock: A file that the runner holds while it measures, for two agents may share a device.
    """

    candidates: tuple[tuple[str, str], ...]
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


def sample_input(param_texts: Sequence[str]) -> bytes:
    """Seeded noise of the largest size among the networks' Input layers, float32, channel by channel.

    A smaller network takes the beginning, which is the noise that it would get by itself.

    Raises:
        MeasureError: One of them names no size.
    """
    count = max(map(_input_count, param_texts))
    return np.random.default_rng(_INPUT_SEED).standard_normal(count).astype("<f4").tobytes()


def _input_count(param_text: str) -> int:
    for line in param_text.splitlines()[2:]:
        words = line.split()
        if words[:1] == ["Input"]:
            sizes = dict(word.split("=") for word in words[2:] if word[:2] in ("0=", "1=", "2="))
            if set(sizes) == {"0", "1", "2"} and all(one.isdigit() for one in sizes.values()):
                return math.prod(map(int, sizes.values()))
    raise MeasureError(FaultKind.MODEL, "the network does not say the size of its input: export it again.")


def weight_parts(job: Job) -> dict[str, str]:
    """By the name that a ``.weights`` list uses, the path among the job's files.

    Raises:
        MeasureError: Two networks of a batch call different weights by one name.
    """
    parts: dict[str, str] = {}
    digests: dict[str, str] = {}
    for one in job.files:
        name = PurePosixPath(one.path).name
        if not name.endswith(".f32"):
            continue
        if digests.setdefault(name, one.sha256) != one.sha256:
            raise MeasureError(
                FaultKind.MODEL, f"the job brings two different files '{name}': measure the networks apart."
            )
        parts[name] = one.path
    return parts


def job_text(
    files: RunnerFiles, plan: Plan, cores: tuple[int, ...], limit_s: float, *, seed: str = "0"
) -> str:
    """The runner's job file, see ``agents/runner/src/job.h``.

    Args:
        seed: Of the order in which several networks take turns; one word.
    """
    lines = ["fleetnas-job 3", *(f"candidate {' '.join(one)}" for one in files.candidates)]
    lines += [f"input {files.input}", f"seed {seed}"]
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
