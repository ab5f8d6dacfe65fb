"""Networks as the files that the devices of a search load."""

import hashlib
from pathlib import Path

import pytest

from fleetnas_controller.jobs import Artifact, Device, DeviceState
from fleetnas_controller.network_files import files_for, ncnn_files
from fleetnas_controller.trial_runner import NetworkFiles
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.weights import WeightPool


class Uploads:
    """Keeps what was uploaded, in order."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def put(self, content: Path | bytes) -> Artifact:
        found = content if isinstance(content, bytes) else content.read_bytes()
        self.contents.append(found)
        return Artifact(hashlib.sha256(found).hexdigest(), len(found))


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
def files(tiny_space: SearchSpace, uploads: Uploads, tmp_path: Path) -> NetworkFiles:
    return ncnn_files(tiny_space, WeightPool(tmp_path), uploads.put)


def test_ncnn_network_and_its_weight_list_share_a_stem(files: NetworkFiles) -> None:
    entry, listed = files.upload(Architecture("tiny", (1, 2, 3), 8))
    names = [one.path for one in listed]
    assert names[:2] == [entry, entry.replace(".param", ".weights")]
    assert all(name.endswith(".f32") for name in names[2:])


def test_weight_files_are_uploaded_once(files: NetworkFiles, uploads: Uploads) -> None:
    files.upload(Architecture("tiny", (1, 2, 3), 8))
    before = len(uploads.contents)
    files.upload(Architecture("tiny", (1, 2, 3), 8))
    assert len(uploads.contents) == before
    files.upload(Architecture("tiny", (3, 2, 1), 8))
    assert len(set(uploads.contents)) == len(uploads.contents)


def test_different_networks_have_different_names(files: NetworkFiles) -> None:
    first, second = (files.upload(Architecture("tiny", one, 8))[0] for one in ((1, 2, 3), (3, 2, 1)))
    assert first != second


def _device(name: str, kind: str, *runtimes: str) -> Device:
    targets = tuple(Target("board", one, "1") for one in runtimes)
    return Device(f"devices/{name}", "board", kind, targets, DeviceState.ONLINE, 1.0)


HOST = _device("host", "host", "onnxruntime", "ncnn", "litert", "openvino")
PHONE, BOARD = _device("phone", "adb", "ncnn"), _device("board", "ssh", "ncnn")


@pytest.mark.parametrize(
    ("devices", "ending"),
    [
        ([PHONE, BOARD], ".param"),
        ([HOST], ".onnx"),
        ([_device("host", "host", "ncnn")], ".onnx"),
        ([HOST, _device("played", "replay", "replay")], ".onnx"),
        ([], ".onnx"),
    ],
)
def test_devices_get_what_they_can_load(
    devices: list[Device], ending: str, tiny_space: SearchSpace, uploads: Uploads, tmp_path: Path
) -> None:
    files = files_for(devices, tiny_space, WeightPool(tmp_path), uploads.put)
    entry, _ = files.upload(Architecture("tiny", (1, 2, 3), 8))
    assert entry.endswith(ending)


def test_search_over_devices_that_load_different_files_is_refused(
    tiny_space: SearchSpace, uploads: Uploads
) -> None:
    with pytest.raises(
        FailedPreconditionError, match=r"'host' \(host\), 'phone' \(adb\) load different .* apart"
    ):
        files_for([HOST, PHONE], tiny_space, WeightPool(None), uploads.put)
