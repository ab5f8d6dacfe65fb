"""Files under their SHA-256."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetnas_controller.artifacts import ArtifactFolder, sha256_of_file
from fleetnas_controller.jobs import Artifact
from fleetnas_search_spaces.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)

CONTENT = b"network" * 1000
ARTIFACT = Artifact(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(tmp_path / "artifacts", max_bytes=100_000)


def test_file_comes_back(folder: ArtifactFolder) -> None:
    with folder.writer(ARTIFACT) as writer:
        writer.write(CONTENT[:10])
        writer.write(CONTENT[10:])
    assert folder.get(ARTIFACT.sha256) == ARTIFACT
    assert b"".join(folder.chunks(ARTIFACT.sha256, 64)) == CONTENT


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_other_content_leaves_nothing(folder: ArtifactFolder, content: bytes) -> None:
    with pytest.raises(DataLossError), folder.writer(ARTIFACT) as writer:
        writer.write(content)
    with pytest.raises(NotFoundError):
        folder.get(ARTIFACT.sha256)


def test_garbage_of_the_right_size_is_refused(folder: ArtifactFolder) -> None:
    with pytest.raises(DataLossError, match="SHA-256"), folder.writer(ARTIFACT) as writer:
        writer.write(b"x" * len(CONTENT))


def test_too_much_is_refused_at_once(folder: ArtifactFolder) -> None:
    with (  # noqa: PT012
        pytest.raises(DataLossError, match="more than 3"),
        folder.writer(Artifact(ARTIFACT.sha256, 3)) as writer,
    ):
        writer.write(CONTENT[:4])
        pytest.fail("a byte too many was taken")


def test_broken_upload_leaves_no_file(folder: ArtifactFolder, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), folder.writer(ARTIFACT) as writer:  # noqa: PT012
        writer.write(CONTENT)
        raise ConnectionError
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_file_above_the_limit_is_refused_before_its_content(folder: ArtifactFolder) -> None:
    with pytest.raises(ResourceExhaustedError, match="100000 at most"):
        folder.writer(Artifact(ARTIFACT.sha256, 100_001))


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_name_that_is_no_sha256_is_refused(folder: ArtifactFolder, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        folder.get(name)


def test_missing_file_to_upload_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"absent\.onnx"):
        sha256_of_file(tmp_path / "absent.onnx")
