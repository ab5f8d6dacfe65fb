"""One device of a fleet, this machine's own when no controller is named."""

__all__ = ["DeviceSettings", "device_session"]

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.client import FleetClient
from fleetnas_controller.credentials import find_credentials
from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import Device
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names

_HOST = "host"


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Which device, and how it is reached.

    Attributes:
        controller: Address of a fleet; None: an embedded one, whose only device is ``host``.
        data_dir: The controller's data folder, where its operator token is.
        runtime: That the device has to have; empty: its default.
        core, thread_count: Of the embedded agent.
    """

    device: str = _HOST
    controller: str | None = None
    data_dir: Path | None = None
    runtime: str = ""
    core: int | None = None
    thread_count: int = 1


@contextmanager
def device_session(settings: DeviceSettings) -> Iterator[tuple[FleetClient, Device]]:
    """The client of the device's fleet, and the device.

    Raises:
        NotFoundError: The fleet has no such device.
        FailedPreconditionError: The device has not that runtime.
        UnavailableError: The controller does not answer, or the embedded agent does not come up.
    """
    if settings.controller is not None:
        with FleetClient(settings.controller, find_credentials(settings.data_dir)) as client:
            yield client, _with_runtime(client.get_device(settings.device), settings.runtime)
        return
    if settings.device != _HOST:
        raise NotFoundError(
            f"no device '{settings.device}' in the embedded fleet; {near_names(settings.device, [_HOST])}. For "
            "devices of a fleet name its --controller."
        )
    arguments = ["--driver", "host", "--threads", str(settings.thread_count)]
    if settings.core is not None:
        arguments += ["--core", str(settings.core)]
    with tempfile.TemporaryDirectory(prefix="fleetnas-") as folder:
        fleet = EmbeddedFleet(Path(folder), AgentCommand(_HOST, tuple(arguments)))
        with fleet as client:
            fleet.wait_for_agent()
            yield client, _with_runtime(client.get_device(_HOST), settings.runtime)


def _with_runtime(device: Device, runtime: str) -> Device:
    known = {one.runtime for one in device.targets}
    if runtime and runtime not in known:
        raise FailedPreconditionError(
            f"device '{device.device_id}' has no runtime '{runtime}'; {near_names(runtime, known)}. Where it is "
            f"missing: pip install 'fleetnas[{runtime}]' beside the agent."
        )
    return device
