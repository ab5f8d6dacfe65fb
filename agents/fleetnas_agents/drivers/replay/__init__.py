"""Devices played from published tables: the fleet's real protocol without the hardware, with faults on request."""

__all__ = ["DeviceFaults", "FaultName", "FaultRate", "ReplayDriver", "ReplayTable", "read_tables"]

from fleetnas_agents.drivers.replay.driver import ReplayDriver
from fleetnas_agents.drivers.replay.faults import DeviceFaults, FaultName, FaultRate
from fleetnas_agents.drivers.replay.tables import ReplayTable, read_tables
