"""Many played devices in one process, each an agent of its own with its own connection."""

__all__ = ["run_devices"]

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from fleetnas_agents.agent import Agent, AgentSettings
from fleetnas_agents.drivers.replay.driver import ReplayDriver
from fleetnas_agents.drivers.replay.faults import DeviceFaults
from fleetnas_agents.drivers.replay.faulty_link import FaultyLink
from fleetnas_agents.drivers.replay.options import ReplaySettings
from fleetnas_agents.drivers.replay.tables import ReplayTable, read_tables
from fleetnas_agents.drivers.replay.trace import DeviceTrace, Trace
from fleetnas_agents.state import AgentState
from fleetnas_protos.join import JoinText


async def run_devices(settings: ReplaySettings, link: AgentSettings, state_dir: Path, join: JoinText) -> None:
    """Plays the devices until cancelled; an agent that is refused ends alone.

    Device ``i`` of several bears the id ``ID-00i`` and keeps its state in a folder of that name.

    Raises:
        FleetNASError: Why the first agent ended, after all have.
    """
    tables = read_tables(settings.table, settings.columns)
    # One lock for all devices: a process may not have thousands of files open.
    with AgentState(state_dir).held(), closing(Trace(settings.trace)) as trace:
        agents = [
            _agent(settings, link, state_dir, join, tables[index % len(tables)], index, trace)
            for index in range(settings.device_count)
        ]
        ended = await asyncio.gather(*(agent.run() for agent in agents), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


def _agent(
    settings: ReplaySettings,
    link: AgentSettings,
    state_dir: Path,
    join: JoinText,
    table: ReplayTable,
    index: int,
    trace: Trace,
) -> Agent:
    name = link.device_id
    if settings.device_count > 1:
        name = f"{name or f'replay-{table.device_model}'}-{index:03d}"
        state_dir = state_dir / name
    faults = DeviceFaults(settings.faults, settings.seed, index)
    hears = DeviceTrace(trace, f"devices/{name}")
    hears("started", "", 0)
    driver = ReplayDriver(
        table,
        noise=settings.noise,
        pause_s=settings.pause_s,
        seed=settings.seed,
        labels=settings.labels,
        faults=faults,
        trace=hears,
    )
    state = AgentState(state_dir)
    state.clear()
    settled = replace(link, device_id=name)
    return Agent(driver, driver.describe(), state, settled, join, FaultyLink(faults, hears))
