"""An accuracy, and where accuracies come from."""

__all__ = ["Accuracy", "AccuracySource", "CurvePoint", "CurveSource"]

from collections.abc import Generator
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


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How far a training has come.

    Attributes:
        all_epochs: After how many it would end by itself.
    """

    epochs: int
    all_epochs: int
    accuracy: Accuracy


@runtime_checkable
class CurveSource(AccuracySource, Protocol):
    """A source whose trainings can be followed, and ended before they are through."""

    @property
    def resumable(self) -> bool:
        """Whether a training goes on from point to point; else each is a training of its own, paid whole."""
        ...

    def curve(self, architecture: Architecture, draw: int) -> Generator[CurvePoint]:
        """The points of a training, epochs rising, the last of which is what ``evaluate`` gives.

        Nothing is trained for a point before it is asked for, or no more than up to the next; closing the generator
        ends the training. Errors as ``evaluate``.
        """
        ...
