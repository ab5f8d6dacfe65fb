"""The figures of a report, drawn from stored trials alone."""

__all__ = ["draw_figures", "save_figure"]

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.trials import Trial, TrialPhase, TrialState
from fleetnas_latency.judgement import Verdict
from fleetnas_latency.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SEARCHED = (TrialPhase.REFERENCE, TrialPhase.SEARCH)
_LABELS = {"nearest": "nearest miss"}
_BLUE, _ORANGE, _GREEN, _GREY = "#1f6fb4", "#d95f02", "#1b7837", "#7f7f7f"


def draw_figures(
    trials: Sequence[Trial],
    result: Mapping[str, Any],
    device: str,
    traces: Mapping[str, Sequence[float]],
) -> dict[str, "Figure"]:
    """The figures ``pareto``, ``predicted`` and ``trace``.

    Args:
        traces: Best accuracy under the caps after each evaluation, by what is written in the legend.
    """
    from matplotlib.figure import Figure

    figures = {}
    for name in ("pareto", "predicted", "trace"):
        figures[name] = Figure(figsize=(7.0, 4.6), dpi=130, layout="constrained")
    _pareto(figures["pareto"].add_subplot(), trials, result, device)
    _predicted(figures["predicted"].add_subplot(), trials, device)
    _trace(figures["trace"].add_subplot(), traces, result["reference"]["accuracy"])
    return figures


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    partial = path.with_suffix(".part.png")
    figure.savefig(partial)
    partial.replace(path)


def _measured(trials: Sequence[Trial], device: str) -> list[tuple[Trial, Estimate, float]]:
    """Trials of the search proper with their latency and accuracy."""
    found = []
    for trial in trials:
        reading = trial.readings.get(device)
        if trial.state is not TrialState.FINISHED or trial.phase not in _SEARCHED or reading is None:
            continue
        if reading.latency_ms is not None and trial.accuracy is not None:
            found.append((trial, reading.latency_ms, trial.accuracy))
    return found


def _pareto(axes: "Axes", trials: Sequence[Trial], result: Mapping[str, Any], device: str) -> None:
    """Accuracy over latency, every interval drawn."""
    measured = _measured(trials, device)
    ys = [accuracy for _, _, accuracy in measured]
    good = [one for one in measured if one[0].readings[device].verdict == Verdict.OK]
    bad = [one for one in measured if one[0].readings[device].verdict != Verdict.OK]
    for rows, marker, colour, label in (
        (good, "o", _BLUE, "measured in the search"),
        (bad, "x", _GREY, "measured, verdict not ok"),
    ):
        if rows:
            heights = [accuracy for _, _, accuracy in rows]
            _bars(axes, [one for _, one, _ in rows], heights, marker, 3.5, colour, label)
    front = _front([(one.value, accuracy) for _, one, accuracy in measured])
    axes.step([x for x, _ in front], [y for _, y in front], where="post", color=_BLUE, lw=1.2)
    marks = (("reference", _ORANGE, "s"), ("found", _GREEN, "*"), ("nearest", _GREY, "X"))
    for name, colour, marker in marks:
        network = result.get(name)
        if network and device in network["latency_ms"]:
            latency = network["latency_ms"][device]
            interval = Estimate(latency["median"], latency["low"], latency["high"])
            verdict = "" if latency["verdict"] == "ok" else f" ({latency['verdict']})"
            label = f"{_LABELS.get(name, name)}: {network['architecture']}{verdict}"
            _bars(axes, [interval], [network["accuracy"]], marker, 11, colour, label)
    limit = _limit_ms(result, device)
    if limit is not None:
        axes.axvline(limit, color=_GREY, ls="--", lw=1.0, label=f"cap {limit:.3f} ms")
    if ys:
        axes.set_ylim(sorted(ys)[len(ys) // 10] - 0.3, max(*ys, result["reference"]["accuracy"]) + 0.3)
    _label(axes, f"latency on {device}, ms (95 % intervals)", "accuracy, %", "Accuracy and latency")


def _predicted(axes: "Axes", trials: Sequence[Trial], device: str) -> None:
    """What the table said before each measurement against the measurement."""
    known = [
        (trial, one.value) for trial, one, _ in _measured(trials, device) if device in trial.predicted_ms
    ]
    xs = [value for _, value in known]
    means = [trial.predicted_ms[device][0] for trial, _ in known]
    spreads = [1.96 * trial.predicted_ms[device][1] for trial, _ in known]
    label = "predicted before measuring, 95 %"
    axes.errorbar(xs, means, yerr=spreads, fmt="o", ms=3.5, color=_BLUE, alpha=0.6, lw=0.8, label=label)
    if xs:
        axes.plot([min(xs), max(xs)], [min(xs), max(xs)], color=_GREY, lw=1.0, ls="--", label="equal")
    _label(axes, f"measured on {device}, ms", "predicted, ms", "The latency table, one measurement ahead")


def _trace(axes: "Axes", traces: Mapping[str, Sequence[float]], reference: float) -> None:
    """Best accuracy under the caps after each evaluation."""
    for (label, trace), colour in zip(traces.items(), (_GREEN, _ORANGE, _BLUE), strict=False):
        axes.step(range(1, len(trace) + 1), trace, where="post", color=colour, lw=1.5, label=label)
    axes.axhline(reference, color=_GREY, ls="--", lw=1.0, label="reference")
    _label(axes, "evaluations", "best accuracy under the caps, %", "This search and random search")


def _bars(
    axes: "Axes",
    estimates: Sequence[Estimate],
    heights: Sequence[float],
    marker: str,
    size: float,
    colour: str,
    label: str,
) -> None:
    values = [one.value for one in estimates]
    errors = [[one.value - one.low for one in estimates], [one.high - one.value for one in estimates]]
    axes.errorbar(
        values, heights, xerr=errors, fmt=marker, ms=size, color=colour, alpha=0.75, lw=0.8, label=label
    )


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _limit_ms(result: Mapping[str, Any], device: str) -> float | None:
    limits = []
    for cap in result["caps"]:
        if cap["device"] == device and cap["name"].startswith("latency_ms"):
            limits.append(cap["limit"])
        elif cap["device"] == device:
            limits.append(cap["limit"] * result["reference"]["latency_ms"][device]["median"])
    return min(limits) if limits else None


def _label(axes: "Axes", x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
