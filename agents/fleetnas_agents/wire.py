"""The agent's dataclasses as protobuf messages and back."""

__all__ = [
    "description_to_pb",
    "fault_to_pb",
    "job_of",
    "lease_of",
    "lease_to_pb",
    "plan_bytes",
    "plan_of_bytes",
    "report_to_pb",
    "result_bytes",
    "result_of_bytes",
]

from google.protobuf.message import DecodeError

from fleetnas_agents.jobs import DeviceDescription, FaultKind, Job, Lease, MeasureError, ModelFile
from fleetnas_latency.measurement import Measurement, Plan
from fleetnas_latency.target import Target
from fleetnas_protos.mirror import from_message, to_message
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2, target_pb2
from fleetnas_search_spaces.errors import InvalidArgumentError


def description_to_pb(description: DeviceDescription) -> fleet_pb2.DeviceDescription:
    return to_message(description, fleet_pb2.DeviceDescription)


def lease_to_pb(lease: Lease) -> fleet_pb2.Lease:
    return to_message(lease, fleet_pb2.Lease)


def lease_of(message: fleet_pb2.Lease) -> Lease:
    return from_message(message, Lease)


def job_of(assignment: fleet_pb2.Assignment) -> Job:
    """The job that the controller assigns.

    Raises:
        MeasureError: It cannot be understood; it is the model's fault, for no agent of this version can.
    """
    request = assignment.request
    try:
        return Job(
            lease=lease_of(assignment.lease),
            files=tuple(from_message(one, ModelFile) for one in request.files),
            entry_file=request.entry_file,
            anchor_entry_file=request.anchor_entry_file,
            plan=from_message(request.plan, Plan),
            silence_s=request.limits.silence.ToNanoseconds() / 1e9,
            total_s=request.limits.total.ToNanoseconds() / 1e9,
            runtime=request.selector.runtime,
            companion_files=tuple(request.companion_files),
            profile=request.profile,
        )
    except (ValueError, InvalidArgumentError) as error:
        raise MeasureError(FaultKind.MODEL, f"the job cannot be understood: {error}") from error


def report_to_pb(lease: Lease, outcome: tuple[Measurement, Target] | MeasureError) -> fleet_pb2.Report:
    report = fleet_pb2.Report(lease=lease_to_pb(lease))
    if isinstance(outcome, MeasureError):
        report.fault.CopyFrom(fault_to_pb(outcome))
    else:
        report.result.CopyFrom(to_message(outcome[0], measurement_pb2.MeasurementResult))
        report.target.CopyFrom(to_message(outcome[1], target_pb2.Target))
    return report


def fault_to_pb(fault: MeasureError) -> measurement_pb2.Fault:
    kind = measurement_pb2.Fault.Kind.Value(fault.kind.name)
    return measurement_pb2.Fault(kind=kind, message=str(fault), file=fault.file)


def plan_bytes(plan: Plan) -> bytes:
    return to_message(plan, measurement_pb2.Plan).SerializeToString()


def plan_of_bytes(content: bytes) -> Plan:
    return from_message(measurement_pb2.Plan.FromString(content), Plan)


def result_bytes(measurement: Measurement) -> bytes:
    return to_message(measurement, measurement_pb2.MeasurementResult).SerializeToString()


def result_of_bytes(content: bytes) -> Measurement:
    """Inverse of ``result_bytes``.

    Raises:
        MeasureError: It is no result: whoever wrote it, a crashing runtime for one, cannot be believed.
    """
    try:
        return from_message(measurement_pb2.MeasurementResult.FromString(content), Measurement)
    except (DecodeError, ValueError) as error:
        raise MeasureError(FaultKind.CRASH, f"the runtime sent a broken result: {error}") from error
