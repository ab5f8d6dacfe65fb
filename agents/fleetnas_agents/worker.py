"""The process that runs networks, so that a crash or a hang of the runtime ends a job and not the agent.

Reads JOB frames from standard input, answers on standard output. Started as
``python -m fleetnas_agents.worker CORES`` (``2,3``; ``-1``: not pinned). A PROGRESS frame may say which of the job's
networks is being loaded, from 1; 0 where none is.
"""

__all__ = ["main"]

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

from fleetnas_agents.energy import RaplCounter, energy_facts
from fleetnas_agents.evidence import host_facts
from fleetnas_agents.frames import FrameKind, pack_frame, read_frame
from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_agents.loading import loaded_twice
from fleetnas_agents.runtimes.registry import runtime_of
from fleetnas_agents.runtimes.runtime import Runtime, TimedNetwork
from fleetnas_agents.wire import plan_of_bytes, result_bytes
from fleetnas_latency.digest import output_digest
from fleetnas_latency.measurement import (
    AnchorDrift,
    Evidence,
    Measurement,
    Plan,
    RawMeasurement,
    in_one,
    judge,
    measure,
    measure_anchored,
    measure_batch,
)
from fleetnas_search_spaces.errors import FleetNASError

_PR_SET_PDEATHSIG = 1
_SIGN_OF_LIFE_S = 1.0


class _Worker:
    """Keeps the anchor loaded between jobs.

    Args:
        cores: It may use; a job is pinned to as many of the last of them as it has threads. Empty: not pinned.
    """

    def __init__(self, output: BinaryIO, cores: Sequence[int]) -> None:
        self._output = output
        self._cores = cores
        self._anchor: tuple[tuple[str, str, int], TimedNetwork] | None = None

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

    def _measure(self, job: dict[str, Any], plan: Plan) -> Measurement:
        """Of the first network; the others of a batch are its companions."""
        runtime = runtime_of(job["runtime"])
        cores = tuple(self._cores[-plan.thread_count :])
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)
        before = host_facts(cores)
        loaded = []
        for number, path in enumerate(map(Path, job["models"]), 1):
            self._send(FrameKind.PROGRESS, str(number).encode())
            loaded.append(loaded_twice(runtime, path, plan.thread_count, self._alive))
        self._send(FrameKind.PROGRESS, b"0")
        anchor = self._anchor_of(job, runtime, plan.thread_count)
        gc.collect()
        gc.disable()
        try:
            raws, drift = self._timed([TimedNetwork(one) for one, _ in loaded], anchor, plan, job["seed"])
        finally:
            gc.enable()
        after = host_facts(cores)
        facts = {f"{name}_before": value for name, value in before.items() if after.get(name) != value}
        facts |= after | {"runtime": runtime.name, "runtime_version": runtime.version()}
        facts |= drift.facts() if drift is not None else {}
        results = []
        for raw, path, (network, costs) in zip(raws, map(Path, job["models"]), loaded, strict=True):
            own = facts | costs | {"precision": network.precision}
            own |= energy_facts(network.infer, self._alive, RaplCounter())
            evidence = Evidence(tuple(sorted(own.items())), output_digest(network.output), anchor_drift=drift)
            judged = judge(raw, plan, evidence)
            if job["profile"]:
                times = runtime.operator_times(path, plan.thread_count, self._alive)
                judged = replace(judged, operators=times)
            results.append(judged)
        return in_one(results)

    def _timed(
        self, networks: Sequence[TimedNetwork], anchor: TimedNetwork | None, plan: Plan, seed: str
    ) -> tuple[Sequence[RawMeasurement], AnchorDrift | None]:
        if len(networks) == 1:
            return [measure(networks[0], anchor, plan, time.monotonic, self._alive)], None
        rng = Random(seed)
        if anchor is None:
            return measure_batch(networks, None, plan, time.monotonic, rng, self._alive), None
        return measure_anchored(networks, anchor, plan, time.monotonic, rng, self._rest, self._alive)

    def _rest(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            time.sleep(min(left_s, _SIGN_OF_LIFE_S))
            self._alive()

    def _anchor_of(self, job: dict[str, Any], runtime: Runtime, thread_count: int) -> TimedNetwork | None:
        if not job["anchor"]:
            return None
        key = (job["anchor_key"], runtime.name, thread_count)
        if self._anchor is None or self._anchor[0] != key:
            converted = runtime.convert(Path(job["anchor"]))
            self._alive()
            self._anchor = (key, TimedNetwork(runtime.load(converted, thread_count)))
        return self._anchor[1]

    def _alive(self) -> None:
        self._send(FrameKind.PROGRESS)

    def _send(self, kind: FrameKind, payload: bytes = b"") -> None:
        self._output.write(pack_frame(kind, payload))
        self._output.flush()


def main() -> int:
    cores = [int(one) for one in sys.argv[1].split(",") if int(one) >= 0]
    _die_with_parent()
    # What the runtime prints must not get between the frames.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = _Worker(output, cores)
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
