"""What a page timed becomes a measurement: pages send their runs, and the one judge there is looks at them here."""

__all__ = ["PageJudge", "ReferenceDigests"]

import asyncio
import importlib.util
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from fleetnas_controller.artifacts import ArtifactFolder
from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import Limits, MeasurementRecord, MeasurementRequest
from fleetnas_controller.soundness import check_evidence, check_runs
from fleetnas_controller.wire import record_from_pb
from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, judge
from fleetnas_protos.mirror import to_message
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2
from fleetnas_search_spaces.errors import FleetNASError

_Digest = tuple[tuple[float, ...], str]
_REFERENCE_S = 120.0
_MOST_KNOWN = 4096
_BROKEN = (FleetNASError, ValueError, ArithmeticError, IndexError)


class ReferenceDigests:
    """Outputs of networks in ONNX Runtime on this machine, each computed once in a process of its own."""

    def __init__(self, artifacts: ArtifactFolder) -> None:
        self._artifacts = artifacts
        self._known: dict[tuple[str, ...], _Digest] = {}
        # One at a time: this machine may be measured on as well.
        self._turn = asyncio.Lock()

    async def of(self, request: MeasurementRequest) -> _Digest:
        """The digest of the candidate's output and what gave it; empty with the reason where nothing can."""
        key = (request.entry_file, *(f"{one.path}={one.sha256}" for one in request.files))
        async with self._turn:
            if key not in self._known:
                if len(self._known) >= _MOST_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[key] = await self._compute(request)
            return self._known[key]

    async def _compute(self, request: MeasurementRequest) -> _Digest:
        if importlib.util.find_spec("onnxruntime") is None:
            return (), "none: ONNX Runtime is not installed beside the controller"
        with tempfile.TemporaryDirectory(prefix="fleetnas-") as folder:
            for one in request.files:
                path = Path(folder) / one.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(self._artifacts.path(one.sha256).resolve())
            return await _in_process(Path(folder) / request.entry_file)


async def _in_process(path: Path) -> _Digest:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleetnas_agents.reference", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _REFERENCE_S)
        found = json.loads(output)
        return tuple(map(float, found["digest"])), str(found["runtime"])
    except TimeoutError:
        return (), f"none: no output within {_REFERENCE_S:g} s"
    except (ValueError, KeyError, TypeError):
        return (), "none: ONNX Runtime does not run the file here"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class PageJudge:
    """Completes the reports of pages."""

    def __init__(self, fleet: Fleet, references: ReferenceDigests) -> None:
        self._fleet = fleet
        self._references = references

    async def judged(self, report: fleet_pb2.Report) -> fleet_pb2.Report:
        """``report`` with a verdict, whatever verdict the page may have sent; one of a fault stays as it is.

        Runs that cannot be judged become an unsound fault, so that the job goes elsewhere.
        """
        if report.WhichOneof("outcome") != "result":
            return report
        record = self._fleet.find(report.lease.measurement)
        done = fleet_pb2.Report()
        done.CopyFrom(report)
        try:
            done.result.CopyFrom(await self._judged(report.result, record))
        except _BROKEN as error:
            text = " ".join(f"the page's result cannot be judged: {error}".split())[:500]
            kind = measurement_pb2.Fault.Kind.UNSOUND
            done.fault.CopyFrom(measurement_pb2.Fault(kind=kind, message=text))
        return done

    async def _judged(
        self, result: measurement_pb2.MeasurementResult, record: MeasurementRecord | None
    ) -> measurement_pb2.MeasurementResult:
        plan = record.request.plan if record else Plan()
        limits = record.request.limits if record else Limits()
        raw = record_from_pb(result.raw, RawMeasurement)
        evidence = Evidence(tuple(sorted(result.evidence.items())), tuple(result.digest))
        check_runs(raw, plan, limits.total_s)
        check_evidence(evidence.facts, evidence.digest)
        if record is not None and not record.state.finished:
            reference, source = await self._references.of(record.request)
            facts = dict(evidence.facts) | {"reference": source}
            evidence = replace(evidence, facts=tuple(sorted(facts.items())), reference_digest=reference)
        measurement = await asyncio.to_thread(judge, raw, plan, evidence)
        return to_message(measurement, measurement_pb2.MeasurementResult)
