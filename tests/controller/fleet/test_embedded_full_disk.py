"""An embedded fleet whose disk fills up, on a file system of its own."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.disks import fill

from fleetnas_controller.client import FleetClient
from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet
from fleetnas_controller.jobs import DeviceState, MeasurementRequest, MeasurementState, ModelFile
from fleetnas_search_spaces.errors import ResourceExhaustedError

# What the replay driver looks for in a model file: the architecture's key in ONNX metadata.
_REPLAYED = b"a model architecture\x12\x0atiny/8/1,2"


def _replaying(folder: Path) -> AgentCommand:
    (folder / "table.csv").write_text("arch,latency_ms\n12,3.5\n")
    return AgentCommand("a", ("--driver", "replay", "--table", str(folder / "table.csv"), "--pause-s", "1"))


def _begun(client: FleetClient) -> str:
    """The name of a measurement that is under way."""
    artifact = client.put_artifact(_REPLAYED)
    files = (ModelFile("net.onnx", artifact.sha256, artifact.size_bytes),)
    name = client.create_measurement(MeasurementRequest("m", files, "net.onnx")).name
    deadline = time.monotonic() + 30.0
    while client.get_measurement(name).state is not MeasurementState.LEASED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return name


def test_who_waits_on_a_disk_that_fills_up_hears_of_it_and_the_next_start_goes_on(
    tmp_path: Path, small_disk: Callable[[Path, int], Path]
) -> None:
    disk, agent = small_disk(tmp_path / "disk", 16 << 10), _replaying(tmp_path)
    fleet = EmbeddedFleet(disk, agent)
    with fleet as client:
        fleet.wait_for_agent()
        name = _begun(client)
        ballast = fill(disk)
        with pytest.raises(
            ResourceExhaustedError, match=r"no space left for .*free some and go on"
        ) as caught:
            client.wait_any([name], 60.0)
        assert "\n" not in str(caught.value)
        with pytest.raises(ResourceExhaustedError, match="no space left"):
            fleet.wait_for_agent()
    ballast.unlink()
    fleet = EmbeddedFleet(disk, agent)
    with fleet as client:
        fleet.wait_for_agent()
        assert client.get_device("a").state is DeviceState.ONLINE
        assert client.wait_any([name], 60.0)[0].state is MeasurementState.DONE
