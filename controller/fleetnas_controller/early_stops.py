"""What ending trainings early did in a search: for the document, the printed result and the report."""

__all__ = ["accuracy_words", "curve_text", "early_stop_document", "early_stop_line", "early_stop_rows"]

from collections.abc import Mapping, Sequence
from typing import Any

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialState
from fleetnas_training.staged_training import Curve
from fleetnas_training.training_command import TRAINING


def early_stop_document(config: SearchConfig, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Which trainings were ended, when, and what that saved; None where no rule was given.

    Epochs are those of the reference and the search; confirmations train to the end. What is saved is against one
    whole training of each network, and may be below zero where longer trainings start anew.
    """
    if not config.early_stop:
        return None
    known = [(one, one.curve) for one in trials if one.curve is not None]
    return {
        "rule": config.early_stop,
        "trainings": len(known),
        "spent_epochs": sum(curve.spent_epochs for _, curve in known),
        "saved_epochs": sum(curve.saved_epochs for _, curve in known),
        "stopped": [_stopped(one, curve) for one, curve in known if one.state is TrialState.STOPPED],
    }


def early_stop_line(result: Mapping[str, Any]) -> str:
    """One sentence; empty where no rule was given."""
    told = result.get("early_stop")  # older documents have none
    if not told:
        return ""
    whole = told["spent_epochs"] + told["saved_epochs"]
    return (
        f"early stop by {told['rule']}: {len(told['stopped'])} of {told['trainings']} trainings were ended, "
        f"{told['spent_epochs']} epochs spent where whole trainings take {whole}"
    )


def early_stop_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A header and a row for each training that was ended; empty without any."""
    told = result.get("early_stop")
    if not told or not told["stopped"]:
        return []
    rows = [
        [
            str(one["trial"]),
            one["architecture"],
            f"{one['epochs']} of {one['all_epochs']}",
            f"{one['accuracy']:.2f}",
            f"{one['estimate']:.2f}",
        ]
        for one in told["stopped"]
    ]
    return [["#", "architecture", "epochs", "accuracy then, %", "estimated at the end, %"], *rows]


def curve_text(trial: Trial) -> str:
    """How far a training that was ended came; empty for others."""
    if trial.curve is None or trial.state is not TrialState.STOPPED:
        return ""
    return f"stopped after {trial.curve.epochs} of {trial.curve.all_epochs} epochs"


def accuracy_words(network: Mapping[str, Any]) -> str:
    """Where a network's accuracy comes from, and whether anything was trained for it."""
    source = str(network["accuracy_source"])
    trained = "trained by that command" if source.startswith(TRAINING) else "quoted; nothing was trained here"
    return f"{source}, {trained}"


def _stopped(trial: Trial, curve: Curve) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "architecture": trial.architecture,
        "epochs": curve.epochs,
        "all_epochs": curve.all_epochs,
        "accuracy": trial.accuracy,
        "estimate": curve.final_percent,
        "saved_epochs": curve.saved_epochs,
    }
