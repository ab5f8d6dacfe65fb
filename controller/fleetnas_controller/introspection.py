"""What generic gRPC tools ask a controller: whether it serves, and which services it has."""

__all__ = ["add_health_and_reflection"]

import grpc.aio as aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from fleetnas_protos.v1 import (
    access_pb2,
    artifact_pb2,
    device_pb2,
    fleet_pb2,
    latency_pb2,
    measurement_pb2,
    search_pb2,
)

_SERVICES = (access_pb2, artifact_pb2, fleet_pb2, device_pb2, latency_pb2, measurement_pb2, search_pb2)


def add_health_and_reflection(server: aio.Server) -> None:
    """For every service of the protos."""
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    names = [
        service.full_name for module in _SERVICES for service in module.DESCRIPTOR.services_by_name.values()
    ]
    health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection([*names, health_name, reflection.SERVICE_NAME], server)
