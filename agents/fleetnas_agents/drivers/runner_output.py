"""What the native runner writes, line by line. Pure."""

__all__ = ["RunnerOutput"]

import re
import signal

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.runner_answer import fault_of
from fleetnas_agents.shells.shell import LinkError

_MOST_BYTES = 8 << 20  # 20,000 runs take under one
_LAST_WORDS = 3


class RunnerOutput:
    """Takes the output in pieces as they come. Lines that are none of the runner's are kept as its last words.

    Attributes:
        network: Which of the job's networks it was busy with when last heard, from 1; 0 where it does not say.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.network = 0
        self.ended = False
        self._size_bytes = 0
        self._open = b""
        self._result = ""
        self._fault: MeasureError | None = None
        self._words: list[str] = []
        self._exit_code: int | None = None

    def feed(self, part: bytes) -> None:
        """Takes a piece; an empty one is the end.

        Raises:
            MeasureError: It is far more than any runner writes.
        """
        self._size_bytes += len(part)
        if self._size_bytes > _MOST_BYTES:
            raise MeasureError(
                FaultKind.CRASH, f"the runner wrote over {_MOST_BYTES >> 20} MiB; it was killed."
            )
        *lines, self._open = (self._open + part).split(b"\n")
        for line in lines if part else [*lines, self._open]:
            self._take(line.decode("utf-8", errors="replace").strip())
        self.ended = self.ended or not part

    def result(self) -> str:
        """The ``result`` line without its first word, once it has ended.

        Raises:
            MeasureError: It gave none.
            LinkError: The output is not whole.
        """
        if self._fault is not None:
            raise self._fault
        if self._result and self._exit_code == 0:
            return self._result
        if self._exit_code is None:
            raise LinkError(f"the link ended before the runner did{self._last_words()}")
        raise MeasureError(FaultKind.CRASH, f"the runner {_end(self._exit_code)}{self._last_words()}")

    def silence(self, silence_s: float) -> MeasureError:
        """The fault of a runner that was not heard for so long."""
        text = f"the runner gave no sign of life for {silence_s:g} s; it was killed{self._last_words()}"
        return MeasureError(FaultKind.CRASH, text)

    def _take(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "started" and rest.isdigit():
            self.pid = self.pid or int(rest)
        elif kind == "network" and rest.isdigit():
            self.network = int(rest)
        elif kind == "result":
            self._result = rest
        elif kind == "fault":
            self._fault = fault_of(rest)
        elif kind == "ended" and rest.isdigit():
            self._exit_code, self.ended = int(rest), True
        elif line and not re.fullmatch(r"progress \d+", line):
            self._words = [*self._words, line[:200]][-_LAST_WORDS:]

    def _last_words(self) -> str:
        return f"; its last words: {' | '.join(self._words)}" if self._words else ""


def _end(exit_code: int) -> str:
    if exit_code == 0:
        return "ended without a result"
    if exit_code <= 128:
        return f"ended with exit code {exit_code}"
    number = exit_code - 128
    known = {
        signal.SIGILL: "an illegal instruction: the CPU is older than this runner's target",
        signal.SIGKILL: "signal 9: the device ran out of memory, or somebody killed it",
        signal.SIGALRM: "its own time limit",
    }
    return (
        f"ended by {known.get(signal.Signals(number)) or f'signal {number}'}"
        if number < 65
        else "ended badly"
    )
