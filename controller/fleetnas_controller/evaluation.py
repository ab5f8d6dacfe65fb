"""The accuracy of a trial, trained as far as the early-stop rule lets it go."""

__all__ = ["Evaluation", "check_accuracy_source", "check_early_stop", "searched_accuracy", "told_accuracy"]

from dataclasses import replace

from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import Trial, TrialPhase, TrialState
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError, near_names
from fleetnas_training.accuracy import Accuracy, AccuracySource, CurveSource
from fleetnas_training.accuracy_source import accuracy_source
from fleetnas_training.staged_training import RULES, Curve, StagedTraining
from fleetnas_training.training_command import TrainingCommand


class Evaluation:
    """Evaluates trials; trains confirmations, and everything where no rule is given, to the end.

    Args:
        early_stop: A name of ``RULES``, or empty.

    Raises:
        InvalidArgumentError: As ``check_early_stop``.
    """

    def __init__(self, source: AccuracySource, space: SearchSpace, early_stop: str) -> None:
        self._source = source
        self._space = space
        check_early_stop(source, early_stop)
        self._staged: StagedTraining | None = None
        if early_stop and isinstance(source, CurveSource):
            self._staged = StagedTraining(source, RULES[early_stop])

    @property
    def noisy(self) -> bool:
        return self._source.noisy

    def learn(self, trial: Trial) -> None:
        """Remembers an ended trial, for the rule; each once, in the order they ended."""
        if self._staged is not None and trial.curve is not None:
            self._staged.remember(trial.curve)

    def evaluated(self, trial: Trial) -> Trial:
        """The trial FINISHED, STOPPED or FAILED."""
        architecture = self._space.parse(trial.architecture)
        curve: Curve | None = None
        try:
            if self._staged is None or trial.phase is TrialPhase.CONFIRM:
                accuracy = self._source.evaluate(architecture, trial.number)
            else:
                accuracy, curve = self._staged.train(architecture, trial.number)
        except FleetNASError as error:
            return replace(trial, state=TrialState.FAILED, fault=str(error))
        finished = curve is None or curve.finished
        return replace(
            trial,
            state=TrialState.FINISHED if finished else TrialState.STOPPED,
            accuracy=accuracy.value_percent,
            accuracy_source=_source_text(accuracy),
            curve=curve,
        )


def searched_accuracy(config: SearchConfig) -> AccuracySource:
    """The source that a search names; its seed decides what a noisy table draws, so a resumed search draws the same.

    Raises:
        As ``accuracy_source``.
    """
    return accuracy_source(config.accuracy, seed=config.seed)


def told_accuracy(trial: Trial) -> float | None:
    """What a strategy is to learn from: the accuracy, or its estimate where the training was ended early."""
    if trial.state is TrialState.STOPPED and trial.curve is not None:
        return trial.curve.final_percent
    return trial.accuracy


def check_early_stop(source: AccuracySource, early_stop: str) -> None:
    """Raises InvalidArgumentError for an unknown rule, and for a source whose trainings cannot be followed."""
    if early_stop and early_stop not in RULES:
        raise InvalidArgumentError(
            f"no rule '{early_stop}' to stop early by; {near_names(early_stop, RULES)}"
        )
    if early_stop and not isinstance(source, CurveSource):
        raise InvalidArgumentError(
            f"{source.name} has no accuracies after fewer epochs to stop early by; leave the early stop "
            f"'{early_stop}' out, or use table:nas-bench-201 or training:COMMAND."
        )


def check_accuracy_source(source: AccuracySource, config: SearchConfig, space: SearchSpace) -> None:
    """Whether the source can be used in this search, without training anything.

    Raises:
        NotFoundError: It does not know the space, or its program is not there.
        InvalidArgumentError: As ``check_early_stop``.
    """
    if isinstance(source, TrainingCommand):
        source.require()
    else:
        source.evaluate(space.reference, 0)  # of another space, it has none
    check_early_stop(source, config.early_stop)


def _source_text(accuracy: Accuracy) -> str:
    return f"{accuracy.source} ({accuracy.fidelity})"
