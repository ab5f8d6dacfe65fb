"""The limits of one job on a device."""

__all__ = ["Attempt"]

import threading
import time

from fleetnas_agents.jobs import MeasureError


class Attempt:
    """``check`` is called wherever time passes; it raises MeasureError when the job is over."""

    def __init__(self, total_s: float, silence_s: float) -> None:
        self.total_s = total_s
        self.silence_s = silence_s
        self.stopping = threading.Event()
        self._end_s = time.monotonic() + total_s

    @property
    def left_s(self) -> float:
        return self._end_s - time.monotonic()

    def check(self) -> None:
        if self.stopping.is_set():
            raise MeasureError.infrastructure("the job was stopped")
        if self.left_s <= 0.0:
            raise MeasureError.infrastructure(f"no result within {self.total_s:g} s: is the link slow?")
