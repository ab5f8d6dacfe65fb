"""An accuracy, and where accuracies come from."""

__all__ = ["Accuracy", "AccuracySource", "CurveSource"]

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fleetnas_search_spaces.architecture import Architecture


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An accuracy and what it is worth.

    Attributes:
        value_percent: Top-1.
        std_percent: Standard deviation of the value as an estimate of the mean over many trainings.
        fidelity: What was trained and tested, in words; reports say it next to the figure.
        source: Name of the source.
    """

    value_percent: float
    std_percent: float
    fidelity: str
    source: str


class AccuracySource(Protocol):
    """Gives accuracies, at one fidelity."""

    @property
    def name(self) -> str: ...

    @property
    def noisy(self) -> bool:
        """Whether another draw may give another accuracy (``Problem.accuracy_noise``)."""
        ...

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        """The accuracy of a canonical architecture.

        Args:
            draw: Number of the training, for instance the trial's; the same draw gives the same accuracy.

        Raises:
            NotFoundError: The source does not know the architecture.
        """
        ...


@runtime_checkable
class CurveSource(AccuracySource, Protocol):
    """A source that can be asked for less: accuracies after fewer epochs, for that many epochs."""

    @property
    def epochs(self) -> tuple[int, ...]:
        """After how many epochs there is an accuracy, rising; the last is what ``evaluate`` gives."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether a training goes on from fewer epochs to more; else more epochs are a new training, paid whole."""
        ...

    def evaluate_at(self, architecture: Architecture, draw: int, epochs: int) -> Accuracy:
        """As ``evaluate``, after one of ``epochs``; InvalidArgumentError for another number."""
        ...
