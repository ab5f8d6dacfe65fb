"""Networks small enough to run in microseconds."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fleetnas_agents.jobs import Job, Lease, MeasureError, ModelFile
from fleetnas_latency.measurement import Plan

PLAN = Plan(
    min_duration_s=0.02,
    max_duration_s=1.0,
    min_run_count=10,
    max_run_count=10**6,
    min_round_count=2,
    round_duration_s=0.01,
    warmup_min_s=0.01,
    warmup_cap_s=0.1,
)


def network(operator: str = "MatMul", size: int = 64) -> bytes:
    weights = numpy_helper.from_array(np.ones((size, size), np.float32), "w")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name in "xy"]
    node = helper.make_node(operator, ["x", "w"], ["y"])
    graph = helper.make_graph([node], "tiny", tensors[:1], tensors[1:], [weights])
    opset = [helper.make_opsetid("", 17)]
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return made.SerializeToString()


@pytest.fixture
def make_network() -> Callable[..., bytes]:
    return network


class Shelf:
    """Files by SHA-256, as a controller would serve them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.offsets: list[int] = []
        self.breaks_after: int | None = None

    def add(self, path: str, content: bytes) -> ModelFile:
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return ModelFile(path, sha256, len(content))

    async def download(self, sha256: str, offset_bytes: int) -> AsyncIterator[bytes]:
        self.asked.append(sha256)
        self.offsets.append(offset_bytes)
        content = self.files[sha256][offset_bytes:]
        for number, start in enumerate(range(0, len(content), 1000)):
            if number == self.breaks_after:
                raise MeasureError.infrastructure("the connection was lost while a file was fetched")
            yield content[start : start + 1000]

    def job(self, *, anchor: bytes | None = None, content: bytes | None = None) -> Job:
        files = [self.add("net.onnx", network() if content is None else content)]
        if anchor is not None:
            files.append(self.add("anchor.onnx", anchor))
        entry = "anchor.onnx" if anchor is not None else ""
        return Job(Lease("measurements/m", 1), tuple(files), "net.onnx", entry, PLAN, 20.0, 60.0)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def lay_out(tmp_path: Path, shelf: Shelf) -> Callable[[Job], Path]:
    def lay(job: Job) -> Path:
        folder = tmp_path / "job"
        folder.mkdir(exist_ok=True)
        for file in job.files:
            (folder / file.path).write_bytes(shelf.files[file.sha256])
        return folder

    return lay


@pytest.fixture
def next_lease() -> Callable[[Job], Job]:
    return lambda job: replace(job, lease=replace(job.lease, fencing_token=job.lease.fencing_token + 1))
