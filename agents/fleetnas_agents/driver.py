"""What an agent needs to know of a device."""

__all__ = ["Driver"]

from pathlib import Path
from typing import Protocol

from fleetnas_agents.jobs import DeviceDescription, Job
from fleetnas_latency.measurement import Measurement
from fleetnas_latency.target import Target


class Driver(Protocol):
    """Measures networks on one device. ``tests/agents`` holds what every driver promises."""

    def describe(self) -> DeviceDescription:
        """What the device is now.

        Raises:
            FailedPreconditionError: It lacks something; the message says how to install it.
        """
        ...

    async def measure(self, job: Job, folder: Path) -> tuple[Measurement, Target]:
        """Measures the job whose files lie in ``folder``. Cancelling the task stops the device's work at once.

        Raises:
            MeasureError: No measurement came of it.
        """
        ...

    async def close(self) -> None:
        """Leaves nothing running on the device."""
        ...
