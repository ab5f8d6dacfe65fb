"""Writes what a search leaves behind: the report and the found network."""

__all__ = ["write_found", "write_report"]

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fleetnas_controller.report.baseline import observed_trace, random_trace
from fleetnas_controller.report.figures import draw_figures, save_figure
from fleetnas_controller.report.page import render_page
from fleetnas_controller.results import summary_lines
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search import SearchOutcome, scaled_readings
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.strategies.strategy import CapKind, Outcome
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.cost import macs, params
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FleetNASError
from fleetnas_search_spaces.weights import WeightPool
from fleetnas_training.accuracy_source import AccuracySource

_MOST_MEMBERS = 20_000
_THIS = "this search"
_RANDOM = "random search, median (latencies predicted)"


def write_report(
    folder: RunFolder,
    space: SearchSpace,
    accuracy: AccuracySource,
    outcome: SearchOutcome,
    result: Mapping[str, Any],
) -> None:
    """Writes ``report.html`` and ``pareto.png``, each whole or not at all."""
    device = next(iter(result["reference"]["latency_ms"]))
    figures = draw_figures(outcome.trials, result, device, _traces(space, accuracy, outcome))
    summary = summary_lines(result) if result["found"] else []
    page = render_page(result, outcome.trials, figures, summary)
    with storage_errors(folder.path):
        save_figure(figures["pareto"], folder.pareto_png)
        _write_whole(folder.report_html, page.encode())


def write_found(folder: RunFolder, space: SearchSpace, text: str) -> None:
    """Writes the network called ``text`` as one ONNX file with seeded, untrained weights."""
    architecture = space.parse(text)
    model = emit_onnx(space.graph(architecture), WeightPool(None), key=architecture.key)
    with storage_errors(folder.path):
        _write_whole(folder.found_onnx, model.model_bytes)


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(content)
    partial.replace(path)


def _traces(
    space: SearchSpace, accuracy: AccuracySource, outcome: SearchOutcome
) -> dict[str, Sequence[float]]:
    searched = [one for one in outcome.trials if one.phase in (TrialPhase.REFERENCE, TrialPhase.SEARCH)]
    ended = sorted((one for one in searched if one.order >= 0), key=lambda one: one.order)
    outcomes = [_outcome(space, one, outcome.reference_ms) for one in ended]
    traces: dict[str, Sequence[float]] = {_THIS: observed_trace(outcomes, outcome.caps)}
    expected = _random(space, accuracy, outcome, outcomes)
    if expected is not None:
        traces[_RANDOM] = expected
    return traces


def _outcome(space: SearchSpace, trial: Trial, reference_ms: Mapping[str, float]) -> Outcome:
    latencies = scaled_readings(trial, reference_ms)
    architecture = space.parse(trial.architecture)
    return Outcome(trial.number, architecture, trial.accuracy, latencies, trial.macs, trial.params)


def _random(
    space: SearchSpace, accuracy: AccuracySource, outcome: SearchOutcome, outcomes: Sequence[Outcome]
) -> list[float] | None:
    """None for a space too large to list, or one with a member whose accuracy the source does not know."""
    members = canonical_members(space, _MOST_MEMBERS)
    if members is None:
        return None
    try:
        values = np.array([accuracy.evaluate(one, 0).value_percent for one in members])
    except FleetNASError:
        return None
    feasible = np.ones(len(members), dtype=bool)
    for cap in outcome.caps:
        if cap.kind is CapKind.LATENCY_MS:
            model = LatencyModel(space)
            known = [one for one in outcomes if cap.device in one.latencies]
            readings = [one.latencies[cap.device] for one in known]
            model.observe(
                [one.architecture for one in known],
                [one.value for one in readings],
                [one.std for one in readings],
            )
            feasible &= model.predict(members).mean_ms < cap.limit
        else:
            count = macs if cap.kind is CapKind.MACS else params
            feasible &= np.array([count(space.graph(one)) <= cap.limit for one in members])
    return random_trace(values, feasible, len(outcomes))
