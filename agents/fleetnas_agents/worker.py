"""The process that runs networks, so that a crash or a hang of the runtime ends a job and not the agent.

Reads JOB frames from standard input, answers on standard output. Started as
``python -m fleetnas_agents.worker CORE THREADS`` (CORE -1: not pinned).
"""

__all__ = ["main"]

import ctypes
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

from fleetnas_agents.evidence import host_facts
from fleetnas_agents.frames import FrameKind, pack_frame, read_frame
from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.onnx_runner import OnnxRunner, runtime_version
from fleetnas_agents.wire import plan_of_bytes, result_bytes
from fleetnas_latency.digest import output_digest
from fleetnas_latency.measurement import Evidence, Measurement, Plan, judge, measure
from fleetnas_search_spaces.errors import FleetNASError

_PR_SET_PDEATHSIG = 1


class _Worker:
    """Keeps the anchor loaded between jobs."""

    def __init__(self, output: BinaryIO, core: int | None, thread_count: int) -> None:
        self._output = output
        self._core = core
        self._thread_count = thread_count
        self._anchor: tuple[str, OnnxRunner] | None = None

    def answer(self, payload: bytes) -> None:
        """Measures one job and sends the result or the fault."""
        head, _, plan = payload.partition(b"\n")
        try:
            result = self._measure(json.loads(head), plan_of_bytes(plan))
        except MeasureError as fault:
            self._send(FrameKind.FAULT, json.dumps({"kind": fault.kind, "message": str(fault)}).encode())
        except FleetNASError as error:
            answer = {"kind": FaultKind.MODEL, "message": str(error)}
            self._send(FrameKind.FAULT, json.dumps(answer).encode())
        else:
            self._send(FrameKind.RESULT, result_bytes(result))

    def _measure(self, job: dict[str, str], plan: Plan) -> Measurement:
        before = host_facts(self._core)
        candidate = OnnxRunner(Path(job["model"]), self._thread_count)
        self._send(FrameKind.PROGRESS)
        anchor = self._anchor_of(job)
        gc.collect()
        gc.disable()
        try:
            raw = measure(candidate, anchor, plan, time.monotonic, lambda: self._send(FrameKind.PROGRESS))
        finally:
            gc.enable()
        after = host_facts(self._core)
        facts = {f"{name}_before": value for name, value in before.items() if after.get(name) != value}
        facts |= after | {"runtime": "onnxruntime", "runtime_version": runtime_version()}
        evidence = Evidence(tuple(sorted(facts.items())), output_digest(candidate.output))
        return judge(raw, plan, evidence)

    def _anchor_of(self, job: dict[str, str]) -> OnnxRunner | None:
        if not job["anchor"]:
            return None
        if self._anchor is None or self._anchor[0] != job["anchor_key"]:
            self._anchor = (job["anchor_key"], OnnxRunner(Path(job["anchor"]), self._thread_count))
        return self._anchor[1]

    def _send(self, kind: FrameKind, payload: bytes = b"") -> None:
        self._output.write(pack_frame(kind, payload))
        self._output.flush()


def main() -> int:
    core, thread_count = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent()
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    # What the runtime prints must not get between the frames.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = _Worker(output, core if core >= 0 else None, thread_count)
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        worker.answer(frame[1])
    return 0


def _die_with_parent() -> None:
    """Asks Linux to end this process with the agent, however that ends."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
