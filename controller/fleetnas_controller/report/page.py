"""The report as one HTML file: figures inside, nothing fetched."""

__all__ = ["render_page"]

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from fleetnas_controller.early_stops import accuracy_words, curve_text, early_stop_line, early_stop_rows
from fleetnas_controller.report.html import html_figure, html_page, html_table
from fleetnas_controller.result_tables import front_lines, nearest_lines, pick_lines, soft_cap_lines
from fleetnas_controller.trials import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CAPTIONS = {
    "pareto": "Measured candidates with 95 % intervals; the line joins the best accuracy at each latency.",
    "predicted": "Each point was predicted by the learned latency table before it was measured.",
    "trace": "Random search: median of 400 simulated runs. Its latencies are predicted by the table that this "
    "search learned, for nobody measured every network; its accuracies come from the same source.",
}


def render_page(
    result: Mapping[str, Any],
    trials: Sequence[Trial],
    figures: Mapping[str, "Figure"],
    summary: Sequence[Sequence[str]],
) -> str:
    """The page.

    Args:
        summary: Header and rows of the table at the top.
    """
    title = f"FleetNAS: {result['run']}"
    parts = [
        f"<p>Space <b>{escape(result['space'])}</b>, strategy <b>{escape(result['strategy'])}</b>, seed "
        f"{result['seed']}: {result['evaluations']} evaluations, {result['measurements']} measurements, "
        f"{result['wall_s']:.0f} s.</p>",
        html_table(summary) if summary else _nearest(result),
        _front(result),
        _picks(result),
        _caps(result),
        _early_stop(result),
        _words(result),
        *(html_figure(name, figure, _CAPTIONS[name]) for name, figure in figures.items()),
        "<h2>Every evaluation</h2>",
        _trials(trials),
    ]
    return html_page(title, parts)


def _nearest(result: Mapping[str, Any]) -> str:
    """Of a search that found nothing: the nearest miss, with the verdict on each of its latencies."""
    rows = nearest_lines(result)
    return "<p><b>No confirmed network keeps the caps.</b></p>" + (
        f"<h2>Nearest miss</h2>{html_table(rows)}" if rows else ""
    )


def _front(result: Mapping[str, Any]) -> str:
    rows = front_lines(result)
    return "<h2>Front</h2>" + html_table(rows) if rows else ""


def _picks(result: Mapping[str, Any]) -> str:
    tables = [
        f"<h2>Picks for {escape(device)}</h2>{html_table(pick_lines(picks, device))}"
        for device, picks in result.get("picks", {}).items()
    ]
    note = (
        "<p class='note'>The knee is the network farthest below the line between the ends of the front of accuracy "
        "and latency; the others are medoids by the number of decisions in which networks differ, each standing for "
        "those of the front that are most like it.</p>"
    )
    return "".join(tables) + note if tables else ""


def _caps(result: Mapping[str, Any]) -> str:
    paid = "".join(f"<p>{escape(line)}</p>" for line in soft_cap_lines(result))
    if not result["caps"] and not paid:
        return ""
    rows = [["cap", "limit", "measured (interval)", "state"]]
    for cap in result["caps"]:
        value = "-" if cap["value"] is None else f"{cap['value']:.5g} ({cap['low']:.5g} to {cap['high']:.5g})"
        rows.append([cap["name"], f"{cap['limit']:.5g}", value, cap["state"]])
    return "<h2>Caps</h2>" + (html_table(rows) if result["caps"] else "") + paid


def _early_stop(result: Mapping[str, Any]) -> str:
    line, rows = early_stop_line(result), early_stop_rows(result)
    if not line:
        return ""
    table = html_table(rows) if rows else ""
    return f"<h2>Trainings ended early</h2><p>{escape(line)}.</p>{table}"


def _words(result: Mapping[str, Any]) -> str:
    source = escape(accuracy_words(result["reference"]))
    return (
        f"<p class='note'>Accuracies: {source}. Latencies: <i>measured</i> on the named "
        "target with an interval; <i>confirmed</i>: measured again at the end, twice, every interval under the "
        "cap; <i>predicted</i>: from the latency table. The ONNX file holds seeded, untrained weights: it has "
        "the network's latency, not its accuracy.</p>"
    )


def _trials(trials: Sequence[Trial]) -> str:
    rows = [["#", "phase", "architecture", "accuracy, %", "predicted, ms", "measured, ms", "verdict"]]
    for trial in trials:
        for device, reading in trial.readings.items():
            mean, std = trial.predicted_ms.get(device, (None, None))
            predicted = "" if mean is None or std is None else f"{mean:.3f} +- {1.96 * std:.3f}"
            one = reading.latency_ms
            measured = "" if one is None else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
            verdict = f"{device}: {reading.verdict}, {reading.source}"
            accuracy = "" if trial.accuracy is None else f"{trial.accuracy:.2f} {curve_text(trial)}".rstrip()
            rows.append(
                [str(trial.number), trial.phase, trial.architecture, accuracy, predicted, measured, verdict]
            )
    return html_table(rows)
