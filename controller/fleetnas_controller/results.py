"""What a search reports for `--json`: one document of its trials."""

__all__ = ["document", "network_of"]

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fleetnas_controller.caps import CapReport, CapState, report_caps
from fleetnas_controller.chosen_statistics import read_statistics
from fleetnas_controller.early_stops import early_stop_document
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search import SearchOutcome
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.self_tests import SelfTests
from fleetnas_controller.trials import DeviceReading, Trial, TrialPhase, TrialState
from fleetnas_latency.statistics import Estimate


def document(
    config: SearchConfig, outcome: SearchOutcome, folder: RunFolder, *, wall_s: float
) -> dict[str, Any]:
    """The document that ``fleetnas search --json`` prints.

    ``found`` and ``change`` are None when no confirmed architecture keeps the caps; ``nearest`` then names the
    best of the rest. Sources: ``measured``/``replayed`` in a trial, ``confirmed`` again at the end.
    """
    confirmations = _confirmations(outcome, outcome.found)
    nearest = outcome.found or (outcome.ranking[0] if outcome.ranking else None)
    caps = report_caps(config, confirmations or _nearest(outcome, nearest))
    own = [one for one in outcome.trials if one.phase is not TrialPhase.EARLIER]
    return {
        "run": config.name,
        "space": config.space,
        "strategy": config.strategy,
        "seed": config.seed,
        "evaluations": sum(one.state is not TrialState.PROPOSED for one in own),
        "measurements": sum(_attempts(one) for one in own),
        "wall_s": round(wall_s, 2),
        "warm_start": _warm_start(config, outcome),
        "hopeless_device": outcome.hopeless_device or None,
        "early_stop": early_stop_document(config, own),
        "reference": _reference(outcome, confirmations),
        "found": _network(confirmations) if confirmations else None,
        "nearest": None if confirmations or nearest is None else _network(_nearest(outcome, nearest)),
        "change": _change(outcome, confirmations, SelfTests(folder.path.parent)) if confirmations else None,
        "front": [network_of(outcome, one) for one in outcome.front],
        "caps": [_cap(one) for one in caps],
        "statistics": {name: asdict(one) for name, one in read_statistics(folder).items()},
        "soft_caps": _soft_caps(outcome, confirmations),
        "artifacts": {
            name: str(path)
            for name, path in (
                ("report", folder.report_html),
                ("pareto", folder.pareto_png),
                ("onnx", folder.found_onnx),
                ("store", folder.store),
            )
            if path.exists()
        },
    }


def network_of(outcome: SearchOutcome, text: str) -> dict[str, Any]:
    """An evaluated network as the document shows it: by its confirmations, or else by its latest trial."""
    return _network(_confirmations(outcome, text) or _nearest(outcome, text))


def _warm_start(config: SearchConfig, outcome: SearchOutcome) -> dict[str, Any] | None:
    """What was taken over; ``accuracies`` and ``latencies`` count the trials of which that held here."""
    earlier = [one for one in outcome.trials if one.phase is TrialPhase.EARLIER]
    if not earlier:
        return None
    return {
        "from": config.warm_start,
        "trials": len(earlier),
        "accuracies": sum(one.accuracy is not None for one in earlier),
        "latencies": sum(len(one.readings) == len(config.devices) for one in earlier),
    }


def _attempts(trial: Trial) -> int:
    """Measurements that a trial took: the last one's name ends in the number of its attempt."""
    return sum(int(one.measurement.rpartition("-")[2]) + 1 for one in trial.readings.values())


def _confirmations(outcome: SearchOutcome, text: str | None) -> list[Trial]:
    return [
        one
        for one in outcome.trials
        if one.phase is TrialPhase.CONFIRM and one.architecture == text and one.state is TrialState.FINISHED
    ]


def _nearest(outcome: SearchOutcome, text: str | None) -> list[Trial]:
    """The latest confirmation of an architecture, or else its trial."""
    ended = [one for one in outcome.trials if one.architecture == text and one.state is TrialState.FINISHED]
    return ended[-1:]


def _reference(outcome: SearchOutcome, confirmations: Sequence[Trial]) -> dict[str, Any]:
    """The reference, with the latency measured in turns with the found network where there is one."""
    first = outcome.trials[0]
    values = _network([first])
    for device, estimates in _by_device(confirmations, lambda one: one.anchor_ms).items():
        source = values["latency_ms"][device]["source"]
        values["latency_ms"][device] = _latency(estimates, "ok", source)
    return values


def _network(trials: Sequence[Trial]) -> dict[str, Any]:
    last = trials[-1]
    confirmed = last.phase is TrialPhase.CONFIRM
    latencies = {}
    for device, estimates in _by_device(trials, lambda one: one.latency_ms).items():
        reading = last.readings[device]
        source = f"confirmed, {reading.source}" if confirmed else reading.source
        latencies[device] = _latency(estimates, reading.verdict, source)
    accuracies = [one.accuracy for one in trials if one.accuracy is not None]
    return {
        "architecture": last.architecture,
        "accuracy": sum(accuracies) / len(accuracies),
        "accuracy_source": last.accuracy_source,
        "macs": last.macs,
        "params": last.params,
        "model_bytes": last.model_bytes,
        "memory_bytes": last.memory_bytes,
        "latency_ms": latencies,
    }


def _by_device(
    trials: Sequence[Trial], pick: Callable[[DeviceReading], Estimate | None]
) -> dict[str, list[Estimate]]:
    found: dict[str, list[Estimate]] = {}
    for trial in trials:
        for device, reading in trial.readings.items():
            value = pick(reading)
            if value is not None:
                found.setdefault(device, []).append(value)
    return found


def _latency(estimates: Sequence[Estimate], verdict: str, source: str) -> dict[str, Any]:
    """Several measurements of one network: their mean, and the widest interval that any of them reaches."""
    return {
        "median": sum(one.value for one in estimates) / len(estimates),
        "low": min(one.low for one in estimates),
        "high": max(one.high for one in estimates),
        "verdict": verdict,
        "source": source,
    }


def _change(outcome: SearchOutcome, confirmations: Sequence[Trial], tests: SelfTests) -> dict[str, Any]:
    """``resolution`` is the smallest change of latency that the device's self-test allows to claim."""
    before, after = outcome.trials[0].accuracy, _network(confirmations)["accuracy"]
    latency = {}
    for device, ratios in _by_device(confirmations, lambda one: one.ratio).items():
        latency[device] = {
            "value": sum(one.value for one in ratios) / len(ratios) - 1.0,
            "low": min(one.low for one in ratios) - 1.0,
            "high": max(one.high for one in ratios) - 1.0,
        }
        tested = tests.find(device)
        if tested is not None:
            latency[device]["resolution"] = tested.resolution
    return {"accuracy": after - before if before is not None else None, "latency": latency}


def _soft_caps(outcome: SearchOutcome, confirmations: Sequence[Trial]) -> list[dict[str, Any]]:
    """What the found network pays for its latencies, in points of accuracy; empty when none was found."""
    if not confirmations:
        return []
    latencies = _network(confirmations)["latency_ms"]
    rows = []
    for cap in outcome.soft:
        over_ms = max(0.0, latencies[cap.device]["median"] - cap.limit_ms)
        rows.append({**asdict(cap), "over_ms": over_ms, "points": over_ms * cap.price})
    return rows


def _cap(report: CapReport) -> dict[str, Any]:
    values = asdict(report)
    values["state"] = str(CapState(report.state))
    return values
