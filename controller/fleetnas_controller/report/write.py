"""Writes what a search leaves behind: the report and the found network."""

__all__ = ["write_found", "write_report"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_controller.outcomes import outcome_of, scaled_readings
from fleetnas_controller.report.baseline import observed_trace, random_trace
from fleetnas_controller.report.figures import draw_figures, save_figure
from fleetnas_controller.report.page import render_page
from fleetnas_controller.result_tables import summary_lines
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.strategies.exact_caps import exact_count
from fleetnas_controller.strategies.strategy import CapKind, Outcome
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.errors import FleetNASError
from fleetnas_search_spaces.weights import WeightPool
from fleetnas_search_spaces.whole_files import write_whole
from fleetnas_training.accuracy import AccuracySource
from fleetnas_training.training_command import TrainingCommand

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
        write_whole(folder.report_html, page.encode())


def write_found(folder: RunFolder, space: SearchSpace, text: str) -> None:
    """Writes the network called ``text`` as one ONNX file with seeded, untrained weights."""
    architecture = space.parse(text)
    model = emit_onnx(space.graph(architecture), WeightPool(None), key=architecture.key)
    with storage_errors(folder.path):
        write_whole(folder.found_onnx, model.model_bytes)


def _traces(
    space: SearchSpace, accuracy: AccuracySource, outcome: SearchOutcome
) -> dict[str, Sequence[float]]:
    searched = [one for one in outcome.trials if one.phase in (TrialPhase.REFERENCE, TrialPhase.SEARCH)]
    ended = sorted((one for one in searched if one.order >= 0), key=lambda one: one.order)
    outcomes = [_outcome(space, one, outcome.reference_ms) for one in ended]
    traces: dict[str, Sequence[float]] = {_THIS: observed_trace(outcomes, outcome.caps, outcome.soft)}
    expected = _random(space, accuracy, outcome, outcomes)
    if expected is not None:
        traces[_RANDOM] = expected
    return traces


def _outcome(space: SearchSpace, trial: Trial, reference_ms: Mapping[str, float]) -> Outcome:
    return outcome_of(space, trial, scaled_readings(trial, reference_ms))


def _random(
    space: SearchSpace, accuracy: AccuracySource, outcome: SearchOutcome, outcomes: Sequence[Outcome]
) -> list[float] | None:
    """None for a space too large to list, one with a member whose accuracy is unknown, and where each is trained."""
    if isinstance(accuracy, TrainingCommand):
        return None
    members = canonical_members(space, _MOST_MEMBERS)
    if members is None:
        return None
    try:
        values = np.array([accuracy.evaluate(one, 0).value_percent for one in members])
    except FleetNASError:
        return None
    feasible = np.ones(len(members), dtype=bool)
    devices = {one.device for one in outcome.caps if one.device} | {one.device for one in outcome.soft}
    predicted_ms = {device: _predicted_ms(space, members, outcomes, device) for device in devices}
    for cap in outcome.caps:
        if cap.kind is CapKind.LATENCY_MS:
            feasible &= predicted_ms[cap.device] < cap.limit
        else:
            feasible &= np.array([exact_count(cap.kind, space.graph(one)) <= cap.limit for one in members])
    for soft in outcome.soft:
        values -= soft.price * np.maximum(predicted_ms[soft.device] - soft.limit_ms, 0.0)
    return random_trace(values, feasible, len(outcomes))


def _predicted_ms(
    space: SearchSpace, members: Sequence[Architecture], outcomes: Sequence[Outcome], device: str
) -> NDArray[np.float64]:
    """What the readings of one device say of all members, shape ``(M,)``."""
    model = LatencyModel(space)
    known = [one for one in outcomes if device in one.latencies]
    readings = [one.latencies[device] for one in known]
    model.observe(
        [one.architecture for one in known], [one.value for one in readings], [one.std for one in readings]
    )
    return model.predict(members).mean_ms
