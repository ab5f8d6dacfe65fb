"""A played device and a job for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.drivers.replay import DeviceFaults, ReplayDriver, ReplayTable
from fleetnas_agents.drivers.replay.faults import parse_fault
from fleetnas_agents.drivers.replay.networks import stand_in_network


@pytest.fixture
def faults() -> Callable[..., DeviceFaults]:
    """Faults as the command line gives them, drawn for a first job."""

    def make(*texts: str, seed: int = 0, device: int = 0) -> DeviceFaults:
        made = DeviceFaults(dict(parse_fault(text) for text in texts), seed, device)
        made.next_job()
        return made

    return make


@pytest.fixture
def play(shelf: Any, tmp_path: Path) -> Callable[..., Any]:
    """Measures a network of the table, which holds ``1,2`` at 3.5 ms."""

    async def run(
        faults: DeviceFaults | None = None, *, key: str = "1,2", seed: int = 0, **fields: Any
    ) -> Any:
        from dataclasses import replace

        job = replace(shelf.job(content=stand_in_network(f"tiny/8/{key}")), **fields)
        for name in {*job.entry_files, job.anchor_entry_file or "net.onnx"}:
            (tmp_path / name).write_bytes(stand_in_network(f"tiny/8/{key}"))
        driver = ReplayDriver(ReplayTable("board", {"1,2": 3.5}), faults=faults, seed=seed)
        return await driver.measure(job, tmp_path)

    return run
