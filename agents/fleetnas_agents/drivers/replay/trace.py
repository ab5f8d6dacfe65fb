"""What played devices did and saw, as JSON lines: what a check of the whole fleet reads."""

__all__ = ["DeviceTrace", "Trace"]

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


class Trace:
    """Writes events, each at once, so that a killed process leaves all but its last.

    Args:
        path: Events are added at its end; None writes nothing.
        clock: Seconds since 1970.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file: TextIO | None = path.open("a", buffering=1, encoding="utf-8") if path else None
        self._clock = clock

    def write(self, device: str, event: str, measurement: str, fencing_token: int, detail: str = "") -> None:
        if self._file is None:
            return
        line = {
            "time": self._clock(),
            "device": device,
            "event": event,
            "measurement": measurement,
            "fencing_token": fencing_token,
            "detail": detail,
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class DeviceTrace:
    """The trace of one device. Events: started, assigned, begin, end, sent, forged, accepted, refused, cancelled."""

    def __init__(self, trace: Trace, device: str) -> None:
        self._trace = trace
        self._device = device

    def __call__(self, event: str, measurement: str, fencing_token: int, detail: str = "") -> None:
        self._trace.write(self._device, event, measurement, fencing_token, detail)
