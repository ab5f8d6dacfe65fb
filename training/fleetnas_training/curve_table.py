"""Published accuracies after few and after all epochs: NAS-Bench-201."""

__all__ = ["NAS_BENCH_201", "CurveTable", "read_nas_bench_201"]

import csv
import gzip
import os
from collections.abc import Generator, Mapping
from pathlib import Path

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy import Accuracy, CurvePoint

NAS_BENCH_201 = "table:nas-bench-201"

_DATA_VARIABLE = "FLEETNAS_DATA"
_FILE = Path("nasbench201") / "accuracy.csv.gz"
_COLUMNS = {12: "c10_test_12ep", 200: "c10_test_200ep"}
_DESCRIBED = "{} epochs on CIFAR-10, test set, NAS-Bench-201"


class CurveTable:
    """A ``CurveSource`` of published trainings, exact: one value for each architecture and number of epochs.

    Args:
        curves: Top-1 in percent by epochs, by architecture key; every architecture has the same epochs.
        resumable: Whether the longer training went on from the shorter one.
        described: What was trained, with ``{}`` for the epochs.
    """

    def __init__(
        self, name: str, curves: Mapping[str, Mapping[int, float]], *, resumable: bool, described: str
    ) -> None:
        self._name = name
        self._curves = curves
        self._resumable = resumable
        self._described = described

    @property
    def name(self) -> str:
        return self._name

    @property
    def noisy(self) -> bool:
        return False

    @property
    def resumable(self) -> bool:
        """See ``CurveSource``."""
        return self._resumable

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        """After all epochs; see ``AccuracySource``."""
        return list(self.curve(architecture, draw))[-1].accuracy

    def curve(self, architecture: Architecture, draw: int) -> Generator[CurvePoint]:
        """See ``CurveSource``."""
        curve = self._curves.get(architecture.key)
        if curve is None:
            raise NotFoundError(
                f"no accuracy of '{architecture.key}' in {self._name}, which has {len(self._curves)} architectures; "
                "search the space and resolution the table was made for"
            )
        for epochs, percent in sorted(curve.items()):
            accuracy = Accuracy(percent, 0.0, self._described.format(epochs), self._name)
            yield CurvePoint(epochs, max(curve), accuracy)


def read_nas_bench_201() -> CurveTable:
    """The 15,625 codes of NAS-Bench-201: 12 epochs once, 200 epochs in the mean of the published trainings.

    Both are whole trainings with a learning rate that falls to zero, so the long one does not go on from the short
    one: who wants both pays for both.

    Raises:
        FailedPreconditionError: The table is not where ``FLEETNAS_DATA`` says; it does not come with the package.
    """
    path = Path(os.environ.get(_DATA_VARIABLE, "")) / _FILE
    if not path.is_file():
        raise FailedPreconditionError(
            f"{NAS_BENCH_201} reads '{_FILE}' in the folder that {_DATA_VARIABLE} names, and it is not there: set "
            f"{_DATA_VARIABLE}."
        )
    cells = space("nas-bench-201")
    with gzip.open(path, "rt", encoding="ascii") as file:
        curves = {
            cells.parse(row["edges"]).key: {epochs: float(row[name]) for epochs, name in _COLUMNS.items()}
            for row in csv.DictReader(file)
        }
    return CurveTable(NAS_BENCH_201, curves, resumable=False, described=_DESCRIBED)
