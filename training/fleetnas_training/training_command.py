"""A user's own training program as a source of accuracies, epoch after epoch."""

__all__ = ["TRAINING", "TrainingCommand"]

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from typing import IO

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy import Accuracy, CurvePoint

TRAINING = "training:"
"""What the name of such a source begins with; the command follows."""

_LINE = re.compile(r"epoch (\d{1,9})/(\d{1,9}) accuracy (\S+)\s*")
_WORDS = 300


class TrainingCommand:
    """A ``CurveSource`` that runs ``COMMAND ARCHITECTURE SEED``, the seed being the number of the draw.

    The program prints ``epoch 12/200 accuracy 93.1`` (top-1 in percent), whenever it likes; other lines are its own
    affair. It is killed, with what it started, when its training is ended. Should this process be killed, the program
    finds its output closed at the next line that it prints.

    Args:
        text: ``training:COMMAND``, words as in a shell, without the rest of a shell.

    Raises:
        InvalidArgumentError: There is no command in it.
    """

    noisy = True
    resumable = True

    def __init__(self, text: str) -> None:
        self.name = text
        try:
            self._words = shlex.split(text.removeprefix(TRAINING))
        except ValueError as error:
            raise InvalidArgumentError(
                f"the training command of '{text}' is no command ({error})."
            ) from error
        if not self._words:
            raise InvalidArgumentError(f"'{text}' names no command; write e.g. 'training:python train.py'.")

    def require(self) -> None:
        """Raises NotFoundError when there is no such program."""
        if shutil.which(self._words[0]) is None:
            raise NotFoundError(f"no program '{self._words[0]}' for '{self.name}': check its name or path.")

    def evaluate(self, architecture: Architecture, draw: int) -> Accuracy:
        """Trains to the end; see ``AccuracySource``."""
        return list(self.curve(architecture, draw))[-1].accuracy

    def curve(self, architecture: Architecture, draw: int) -> Generator[CurvePoint]:
        """See ``CurveSource``.

        Raises:
            NotFoundError: No such program.
            FailedPreconditionError: It failed, said something that makes no sense, or ended before its last epoch.
        """
        self.require()
        words = [*self._words, space(architecture.space).format(architecture), str(draw)]
        with tempfile.TemporaryFile("w+", errors="replace") as complaint:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint,
                text=True, errors="replace", start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            try:
                assert process.stdout is not None  # asked for as a pipe
                whole = yield from self._points(process.stdout)
                if process.wait() != 0:
                    raise FailedPreconditionError(
                        f"{self.name} ended with {process.returncode}: {_last_words(complaint)}"
                    )
                if not whole:
                    raise FailedPreconditionError(
                        f"{self.name} ended before its last epoch: it has to print lines like "
                        "'epoch 12/200 accuracy 93.1', the last of them for the last epoch."
                    )
            finally:
                _end(process)

    def _points(self, output: IO[str]) -> Generator[CurvePoint, None, bool]:
        """Returns whether the last one is of the last epoch."""
        epochs, all_epochs = 0, 0
        for line in output:
            found = _LINE.fullmatch(line)
            if found is None:
                continue
            point = self._point(line.strip(), int(found[1]), int(found[2]), found[3])
            if not epochs < point.epochs <= point.all_epochs or all_epochs not in (0, point.all_epochs):
                raise FailedPreconditionError(f"{self.name} printed '{line.strip()}' after epoch {epochs}.")
            epochs, all_epochs = point.epochs, point.all_epochs
            yield point
        return 0 < epochs == all_epochs

    def _point(self, line: str, epochs: int, all_epochs: int, percent: str) -> CurvePoint:
        with contextlib.suppress(ValueError):
            value = float(percent)
            if 0.0 <= value <= 100.0:
                return CurvePoint(epochs, all_epochs, Accuracy(value, 0.0, f"{epochs} epochs", self.name))
        raise FailedPreconditionError(f"{self.name} printed '{line}': an accuracy is from 0 to 100 percent.")


def _last_words(complaint: IO[str]) -> str:
    complaint.seek(0)
    lines = complaint.read().strip().splitlines()
    return lines[-1][-_WORDS:] if lines else "it said nothing"


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
