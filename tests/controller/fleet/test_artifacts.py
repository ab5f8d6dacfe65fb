"""Files under their SHA-256."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetnas_controller.artifacts import ArtifactFolder, sha256_of_file
from fleetnas_controller.jobs import Artifact
from fleetnas_search_spaces.errors import (
    DataLossError,
    FailedPreconditionError,
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


def _broken(folder: ArtifactFolder, count: int) -> None:
    with pytest.raises(ConnectionError), folder.writer(ARTIFACT) as writer:  # noqa: PT012
        writer.write(CONTENT[:count])
        raise ConnectionError


def test_broken_upload_is_gone_on_with(folder: ArtifactFolder) -> None:
    _broken(folder, 4000)
    with pytest.raises(NotFoundError):
        folder.get(ARTIFACT.sha256)
    assert folder.received_bytes(ARTIFACT.sha256) == 4000
    with folder.writer(ARTIFACT, 4000) as writer:
        writer.write(CONTENT[4000:])
    assert b"".join(folder.chunks(ARTIFACT.sha256, 64, 6990)) == CONTENT[6990:]
    assert folder.received_bytes(ARTIFACT.sha256) == 0


def test_upload_from_the_beginning_forgets_the_broken_one(folder: ArtifactFolder, tmp_path: Path) -> None:
    _broken(folder, 4000)
    with folder.writer(ARTIFACT) as writer:
        writer.write(CONTENT)
    assert [one.name for one in (tmp_path / "artifacts").iterdir()] == [ARTIFACT.sha256]


def test_upload_that_goes_on_elsewhere_is_told_where_it_stands(folder: ArtifactFolder) -> None:
    _broken(folder, 4000)
    with pytest.raises(FailedPreconditionError, match="stands at 4000 bytes, not at 5000"):
        folder.writer(ARTIFACT, 5000).__enter__()


def test_two_uploads_of_one_file_at_once_both_succeed(folder: ArtifactFolder, tmp_path: Path) -> None:
    with folder.writer(ARTIFACT) as first, folder.writer(ARTIFACT) as second:
        first.write(CONTENT)
        with pytest.raises(FailedPreconditionError, match="somebody else"):
            folder.writer(ARTIFACT, 7).__enter__()
        second.write(CONTENT)
    assert [one.name for one in (tmp_path / "artifacts").iterdir()] == [ARTIFACT.sha256]


def test_uploads_that_nobody_went_on_with_are_cleared_away(folder: ArtifactFolder, tmp_path: Path) -> None:
    _broken(folder, 4000)
    (partial,) = (tmp_path / "artifacts").iterdir()
    ArtifactFolder(tmp_path / "artifacts")
    assert partial.exists()
    os.utime(partial, (1.0, 1.0))
    ArtifactFolder(tmp_path / "artifacts")
    assert not partial.exists()


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
